#include "models/hardware/routes.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "models/hardware/path_table.hpp"
#include "models/hardware/whole_numbers.hpp"
#include "models/units/error.hpp"

namespace moesim {
namespace {

constexpr std::size_t kMostRouteLinks = 500'000'000;
constexpr int kPcieCost = 10;       ///< NVLink first
constexpr int kThroughGpu = 10000;  ///< GPUs and NICs pass nothing on while another way exists

/// SplitMix64's finaliser (Steele, Lea, Flood, OOPSLA 2014): every bit of the key moves every bit of the result.
std::uint64_t mixed(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

/// The ECMP choice of a flow at its `hop`th switch, among `choices` equal-cost cables: a hash of the two NICs that it
/// enters and leaves the fabric by, as switches hash a flow's addresses.
std::size_t ecmp(int src_nic, int dst_nic, int hop, std::size_t choices) {
  if (choices == 1) return 0;
  const auto flow = (static_cast<std::uint64_t>(src_nic) << 32) | static_cast<std::uint32_t>(dst_nic);
  constexpr std::uint64_t kGolden = 0x9e3779b97f4a7c15ULL;  // SplitMix64's increment
  return mixed(flow + kGolden * static_cast<std::uint64_t>(hop + 1)) % choices;
}

int cost_of(Tier tier, VertexKind to) {
  const int cost = tier == Tier::pcie ? kPcieCost : 1;
  return to == VertexKind::gpu || to == VertexKind::nic ? cost + kThroughGpu : cost;
}

/// Paths inside one kind of node, from any part to its GPUs and NICs.
class NodePaths {
public:
  explicit NodePaths(const NodeShape& shape) : shape_{shape}, paths_{table()} {}

  void append(const NodePlace& node, int from, int to, std::vector<LinkId>& route) const {
    while (from != to) {
      const auto choices = paths_.next(from, target_of_part_[at(to)]);
      if (choices.empty())
        throw InputError{
            "cluster.node_links",
            fmt::format("no path from {} to {} in a node", shape_.parts[at(from)].name, shape_.parts[at(to)].name),
            "nodes whose GPUs and NICs are joined"};
      route.push_back(node.link_of_wire[at(choices[0])]);
      from = shape_.wires[at(choices[0])].to;
    }
  }

private:
  PathTable table() {
    std::vector<PathEdge> edges;
    for (const NodeShape::Wire& wire : shape_.wires)
      edges.push_back({wire.from, wire.to, cost_of(wire.tier, shape_.parts[at(wire.to)].kind)});
    std::vector<int> targets;
    target_of_part_.assign(shape_.parts.size(), -1);
    for (int part = 0; part < static_cast<int>(shape_.parts.size()); ++part) {
      const VertexKind kind = shape_.parts[at(part)].kind;
      if (kind != VertexKind::gpu && kind != VertexKind::nic) continue;
      target_of_part_[at(part)] = static_cast<int>(targets.size());
      targets.push_back(part);
    }
    return {static_cast<int>(shape_.parts.size()), edges, targets};
  }

  const NodeShape& shape_;
  std::vector<int> target_of_part_;
  PathTable paths_;
};

/// Paths between the switches that NICs are plugged into.
class FabricPaths {
public:
  explicit FabricPaths(const ClusterGraph& graph)
      : network_{graph.network}, first_link_{graph.first_switch_link}, paths_{table()} {}

  void append(int from, int to, int src_nic, int dst_nic, std::vector<LinkId>& route) const {
    for (int hop = 0; from != to; ++hop) {
      const auto choices = is_torus() ? torus_step(from, to) : paths_.next(from, to);
      const int cable = choices[ecmp(src_nic, dst_nic, is_torus() ? 0 : hop, choices.size())];
      route.push_back(first_link_ + cable);
      from = network_.cables[at(cable)].to;
    }
  }

private:
  bool is_torus() const { return network_.torus_width > 0; }

  PathTable table() {
    std::vector<int> targets;
    if (is_torus()) {
      index_torus();
      return {0, {}, {}};
    }
    std::vector<PathEdge> edges;
    for (const SwitchNetwork::Cable& cable : network_.cables) edges.push_back({cable.from, cable.to, cable.cost});
    for (int target = 0; target < network_.edge_switches; ++target) targets.push_back(target);
    return {static_cast<int>(network_.switches.size()), edges, targets};
  }

  void index_torus() {
    cable_to_.resize(network_.switches.size() * 4, -1);
    for (std::size_t c = 0; c < network_.cables.size(); ++c) {
      const auto [from, to] = std::pair{network_.cables[c].from, network_.cables[c].to};
      const int w = network_.torus_width, h = network_.torus_height;
      const int dx = (to % w - from % w + w) % w, dy = (to / w - from / w + h) % h;
      if (dx != 0 && dx == 1) cable_to_[at(from) * 4] = static_cast<int>(c);
      if (dx != 0 && dx == w - 1) cable_to_[at(from) * 4 + 1] = static_cast<int>(c);
      if (dy != 0 && dy == 1) cable_to_[at(from) * 4 + 2] = static_cast<int>(c);
      if (dy != 0 && dy == h - 1) cable_to_[at(from) * 4 + 3] = static_cast<int>(c);
    }
  }

  /// Dimension order: x until it fits, then y, each the shorter way; half-way round both ways are equal, and the flow's
  /// hash, the same at every hop, keeps to one.
  std::span<const int> torus_step(int from, int to) const {
    const int w = network_.torus_width, h = network_.torus_height;
    const int dx = (to % w - from % w + w) % w, dy = (to / w - from / w + h) % h;
    const int ahead = dx != 0 ? dx : dy, ring = dx != 0 ? w : h;
    const int* both = cable_to_.data() + at(from) * 4 + (dx != 0 ? 0 : 2);
    if (2 * ahead == ring && ring > 2) return {both, 2};
    return {both + (2 * ahead <= ring ? 0 : 1), 1};
  }

  const SwitchNetwork& network_;
  LinkId first_link_;
  std::vector<int> cable_to_;  ///< [routers * 4]: +x, -x, +y, -y
  PathTable paths_;
};

/// Node, NIC, fabric, NIC, node.
class NodeRouter {
public:
  NodeRouter(const ClusterSpec& cluster, const ClusterGraph& graph)
      : policy_{cluster.rails}, graph_{graph}, fabric_{graph} {
    inside_.reserve(graph.shapes.size());
    for (const NodeShape& shape : graph.shapes) inside_.emplace_back(shape);
    nics_on_rail_.resize(graph.shapes.size());
    for (const NodePlace& node : graph.nodes) index_rails(node);
  }

  void append(int src, int dst, std::vector<LinkId>& route) const {
    const NodePlace &from = node_of(src), &to = node_of(dst);
    if (&from == &to) return inside(from).append(from, src - from.first_gpu, dst - from.first_gpu, route);
    const auto [out, in] = choose_nics(graph_.nic_of_gpu(src), graph_.nic_of_gpu(dst));
    inside(from).append(from, src - from.first_gpu, part_of_nic(out), route);
    const NicLinks &up = graph_.nic_links[at(out)], &down = graph_.nic_links[at(in)];
    route.push_back(up.up);
    fabric_.append(up.edge_switch, down.edge_switch, out, in, route);
    route.push_back(down.down);
    inside(to).append(to, part_of_nic(in), dst - to.first_gpu, route);
  }

private:
  const NodePlace& node_of(int gpu) const { return graph_.nodes[at(graph_.node_of_gpu[at(gpu)])]; }
  const NodePaths& inside(const NodePlace& node) const { return inside_[at(node.kind)]; }
  const NicPlace& place(int nic) const { return graph_.nics[at(nic)]; }
  int part_of_nic(int nic) const { return graph_.nodes[at(place(nic).node)].shape->nics[at(place(nic).index)].at; }

  void index_rails(const NodePlace& node) {
    auto& rails = nics_on_rail_[at(node.kind)];
    if (!rails.empty()) return;
    for (int i = 0; i < static_cast<int>(node.shape->nics.size()); ++i) {
      const int rail = place(node.first_nic + i).rail;
      if (static_cast<int>(rails.size()) <= rail) rails.resize(at(rail) + 1);
      rails[at(rail)].push_back(i);
    }
  }

  /// The NIC of `mine`'s node to talk to `other` through: `mine` itself when it is on that rail, else the one of the
  /// same index, else the first of the rail; -1: none.
  int counterpart(int other, int mine) const {
    if (place(mine).rail == place(other).rail) return mine;
    const NodePlace& node = graph_.nodes[at(place(mine).node)];
    const auto& rails = nics_on_rail_[at(node.kind)];
    if (static_cast<int>(rails.size()) <= place(other).rail) return -1;
    const std::vector<int>& on_rail = rails[at(place(other).rail)];
    if (on_rail.empty()) return -1;
    const bool same = std::binary_search(on_rail.begin(), on_rail.end(), place(other).index);
    return node.first_nic + (same ? place(other).index : on_rail.front());
  }

  std::pair<int, int> choose_nics(int own, int theirs) const {
    if (policy_ == RailPolicy::spine) return {own, theirs};
    const bool forward = policy_ == RailPolicy::forward;
    const int there = counterpart(own, theirs), here = counterpart(theirs, own);
    if (there >= 0 && (forward || here < 0)) return {own, there};
    if (here >= 0) return {here, theirs};
    // neither own rail is on both nodes: the first one is
    return {graph_.nodes[at(place(own).node)].first_nic, graph_.nodes[at(place(theirs).node)].first_nic};
  }

  RailPolicy policy_;
  const ClusterGraph& graph_;
  FabricPaths fabric_;
  std::vector<NodePaths> inside_;
  std::vector<std::vector<std::vector<int>>> nics_on_rail_;  ///< [kinds][rails]
};

/// Shortest paths over nodes and the scenario's cables alike.
class GraphRouter {
public:
  GraphRouter(const ClusterSpec& cluster, const ClusterGraph& graph)
      : graph_{graph}, where_{cluster.fabric.graph.where}, paths_{table(graph)} {}

  void append(int src, int dst, std::vector<LinkId>& route) const {
    int from = src;
    for (int hop = 0; from != dst; ++hop) {
      const auto choices = paths_.next(from, dst);
      if (choices.empty())
        throw InputError{
            where_, fmt::format("no path from {} to {}", graph_.vertices[at(src)].name, graph_.vertices[at(dst)].name),
            "a connected graph"};
      const LinkId link = choices[ecmp(src, dst, hop, choices.size())];
      route.push_back(link);
      from = graph_.links[at(link)].to;
    }
  }

private:
  static PathTable table(const ClusterGraph& graph) {
    std::vector<PathEdge> edges;
    for (const Link& link : graph.links)
      edges.push_back({link.from, link.to, cost_of(link.tier, graph.vertices[at(link.to)].kind)});
    std::vector<int> targets;
    for (int gpu = 0; gpu < static_cast<int>(graph.node_of_gpu.size()); ++gpu) targets.push_back(gpu);
    return {static_cast<int>(graph.vertices.size()), edges, targets};
  }

  const ClusterGraph& graph_;
  const std::string& where_;
  PathTable paths_;
};

}  // namespace

template <typename Router>
void RouteTable::fill(const Router& router) {
  for (int src = 0; src < static_cast<int>(gpus_); ++src) {
    for (int dst = 0; dst < static_cast<int>(gpus_); ++dst) {
      begin_.push_back(static_cast<std::uint32_t>(links_.size()));
      router.append(src, dst, links_);
    }
    if (links_.size() > kMostRouteLinks)
      throw NotModelledYet{"cluster.nodes", fmt::format("routes of over {} links in all", kMostRouteLinks),
                           "fewer GPUs, or a fabric with shorter paths"};
  }
  begin_.push_back(static_cast<std::uint32_t>(links_.size()));
}

RouteTable::RouteTable(const ClusterSpec& cluster, const ClusterGraph& graph) : gpus_{graph.node_of_gpu.size()} {
  begin_.reserve(gpus_ * gpus_ + 1);
  const std::size_t usual = graph.nics.empty() ? 2 : 6;
  links_.reserve(gpus_ * gpus_ * usual);  // pages that stay unused cost no memory
  if (cluster.fabric.kind == FabricKind::graph)
    fill(GraphRouter{cluster, graph});
  else
    fill(NodeRouter{cluster, graph});
}

}  // namespace moesim
