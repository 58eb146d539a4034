#include "models/hardware/cluster_graph.hpp"

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

#include "models/hardware/network_parts.hpp"
#include "models/hardware/whole_numbers.hpp"
#include "models/units/error.hpp"

namespace moesim {
namespace {

NodeShape shape_of(const ClusterSpec& cluster, const NodeGroup& group) {
  const bool fabric = cluster.nodes > 1 && cluster.fabric.kind != FabricKind::graph;
  if (!group.shape)
    return make_node({.gpu = group.gpu,
                      .gpus = group.gpus_per_node,
                      .links = group.links,
                      .nics = fabric ? group.nics_per_node > 0 ? group.nics_per_node : group.gpus_per_node : 0,
                      .nic = group.nic,
                      .gpus_per_pcie_switch = cluster.gpus_per_pcie_switch});
  NodeShape shape = *group.shape;
  if (fabric && shape.nics.empty())
    throw InputError{"cluster.xml", "a node without a NIC", fmt::format("NICs, as there are {} nodes", cluster.nodes)};
  for (NodeShape::Nic& nic : shape.nics) {
    if (nic.bandwidth.value() == 0) nic.bandwidth = group.nic;
    if (fabric && nic.bandwidth.value() <= 0)
      throw InputError{"cluster.fabric.nic", "nothing", "the bandwidth of the NICs: the file of cluster.xml has none"};
  }
  if (!fabric) shape.nics.clear();  // its NICs stay as vertices below PCIe
  return shape;
}

/// Vertices and links as they are named and numbered.
class Builder {
public:
  explicit Builder(const ClusterSpec& cluster) : cluster_{cluster} {}

  ClusterGraph build() {
    add_nodes();
    add_node_parts();
    if (cluster_.nodes > 1) graph_.network = plan_network(cluster_, graph_.nics);
    graph_.first_switch = next_vertex();
    for (const Vertex& vertex : graph_.network.switches) graph_.vertices.push_back(vertex);
    add_wires();
    add_nic_links();
    graph_.first_switch_link = next_link();
    for (const SwitchNetwork::Cable& cable : graph_.network.cables)
      add_link(cable.tier, graph_.first_switch + cable.from, graph_.first_switch + cable.to, cable.capacity,
               cable.suffix);
    return std::move(graph_);
  }

private:
  int next_vertex() const { return static_cast<int>(graph_.vertices.size()); }
  LinkId next_link() const { return static_cast<LinkId>(graph_.links.size()); }

  void add_nodes() {
    const std::vector<NodeGroup> groups = node_groups(cluster_);
    for (const NodeGroup& group : groups) graph_.shapes.push_back(shape_of(cluster_, group));
    for (std::size_t kind = 0; kind < groups.size(); ++kind)
      for (int i = 0; i < groups[kind].count; ++i) add_node(static_cast<int>(kind));
    const int rails = rails_of_fabric();
    for (NicPlace& nic : graph_.nics) {
      const int own = static_cast<int>(graph_.nodes[at(nic.node)].shape->nics.size());
      nic.rail = own >= rails ? nic.index % rails : nic.index * rails / own;
    }
  }

  void add_node(int kind) {
    const NodeShape& shape = graph_.shapes[at(kind)];
    const int node = static_cast<int>(graph_.nodes.size()), first_gpu = static_cast<int>(graph_.node_of_gpu.size());
    graph_.nodes.push_back({&shape, kind, first_gpu, 0, static_cast<int>(graph_.nics.size()), {}});
    graph_.nodes.back().link_of_wire.assign(shape.wires.size(), -1);
    for (int gpu = 0; gpu < shape.gpus; ++gpu) {
      graph_.node_of_gpu.push_back(node);
      graph_.vertices.push_back({fmt::format("n{}{}", node, shape.parts[at(gpu)].name), VertexKind::gpu, node, gpu});
    }
    for (std::size_t i = 0; i < shape.nics.size(); ++i)
      graph_.nics.push_back({node, static_cast<int>(i), static_cast<int>(i), shape.nics[i].bandwidth});
  }

  bool has_rails() const {
    const FabricKind kind = cluster_.fabric.kind;
    return kind == FabricKind::rail_optimised || kind == FabricKind::multi_rail || kind == FabricKind::rail_only;
  }

  /// Without rails a NIC's rail is its index, so that forward and pxn have a counterpart on every node.
  int rails_of_fabric() const {
    int most = 1;
    for (const NodeShape& shape : graph_.shapes) most = std::max(most, static_cast<int>(shape.nics.size()));
    return has_rails() && cluster_.fabric.rails > 0 ? std::min(cluster_.fabric.rails, most) : most;
  }

  void add_node_parts() {
    for (std::size_t node = 0; node < graph_.nodes.size(); ++node) {
      NodePlace& place = graph_.nodes[node];
      place.first_part = next_vertex();
      for (std::size_t part = at(place.shape->gpus); part < place.shape->parts.size(); ++part)
        graph_.vertices.push_back({fmt::format("n{}{}", node, place.shape->parts[part].name),
                                   place.shape->parts[part].kind, static_cast<int>(node), -1});
    }
  }

  void add_link(Tier tier, int from, int to, BytesPerSecond capacity, const std::string& suffix = {}) {
    graph_.links.push_back(
        {fmt::format("{} -> {}{}", graph_.vertices[at(from)].name, graph_.vertices[at(to)].name, suffix), tier, from,
         to, capacity});
  }

  void add_wires() {
    int sections = 0;
    for (const NodeShape& shape : graph_.shapes)
      for (const NodeShape::Wire& wire : shape.wires) sections = std::max(sections, wire.section + 1);
    for (int section = 0; section < sections; ++section)
      for (NodePlace& node : graph_.nodes)
        for (std::size_t w = 0; w < node.shape->wires.size(); ++w) {
          const NodeShape::Wire& wire = node.shape->wires[w];
          if (wire.section != section) continue;
          node.link_of_wire[w] = next_link();
          add_link(wire.tier, node.vertex(wire.from), node.vertex(wire.to), wire.capacity);
        }
  }

  void add_nic_links() {
    graph_.nic_links.resize(graph_.nics.size());
    const auto ends = [&](std::size_t i) {
      const NicPlace& nic = graph_.nics[i];
      const NodePlace& node = graph_.nodes[at(nic.node)];
      graph_.nic_links[i].edge_switch = graph_.network.switch_of_nic[i];
      return std::pair{node.vertex(node.shape->nics[at(nic.index)].at),
                       graph_.first_switch + graph_.network.switch_of_nic[i]};
    };
    for (std::size_t i = 0; i < graph_.nics.size(); ++i) {
      const auto [nic, leaf] = ends(i);
      graph_.nic_links[i].up = next_link();
      add_link(Tier::nic, nic, leaf, graph_.nics[i].bandwidth);
    }
    for (std::size_t i = 0; i < graph_.nics.size(); ++i) {
      const auto [nic, leaf] = ends(i);
      graph_.nic_links[i].down = next_link();
      add_link(Tier::nic, leaf, nic, graph_.nics[i].bandwidth);
    }
  }

  const ClusterSpec& cluster_;
  ClusterGraph graph_;
};

/// Puts the switches and cables of the scenario's list into the graph of nodes.
class CustomGraph {
public:
  CustomGraph(const GraphSpec& spec, ClusterGraph& graph) : spec_{spec}, graph_{graph} {
    for (std::size_t v = 0; v < graph.vertices.size(); ++v) vertex_named_[graph.vertices[v].name] = static_cast<int>(v);
    for (const Link& link : graph.links) joined_.insert(std::minmax(link.from, link.to));
  }

  void add() {
    graph_.first_switch = static_cast<int>(graph_.vertices.size());
    graph_.first_switch_link = static_cast<LinkId>(graph_.links.size());
    for (const GraphSpec::Switch& vertex : spec_.switches) {
      if (!vertex_named_.try_emplace(vertex.name, static_cast<int>(graph_.vertices.size())).second)
        throw InputError{vertex.where, fmt::format("'{}' again", vertex.name), "a name that no other vertex has"};
      graph_.vertices.push_back({vertex.name, VertexKind::router, -1, -1});
    }
    for (const GraphSpec::Cable& cable : spec_.cables) add_cable(cable);
  }

private:
  int vertex(const std::string& name, const std::string& where) const {
    const auto found = vertex_named_.find(name);
    if (found != vertex_named_.end()) return found->second;
    std::vector<std::string> names;
    for (const auto& [known, v] : vertex_named_) names.push_back(known);
    throw InputError{where, fmt::format("the unknown vertex '{}'", name),
                     "a name of cluster.fabric.vertices, or a GPU, as n0g0", nearest(name, names)};
  }

  Tier tier_of(int a, int b) const {
    const Vertex &from = graph_.vertices[at(a)], &to = graph_.vertices[at(b)];
    if (from.node >= 0 && from.node == to.node) return Tier::nvlink;
    return from.node >= 0 || to.node >= 0 ? Tier::nic : Tier::spine;
  }

  void add_cable(const GraphSpec::Cable& cable) {
    const int from = vertex(cable.from, cable.where), to = vertex(cable.to, cable.where);
    if (from == to)
      throw InputError{cable.where, fmt::format("a link from '{}' to itself", cable.from), "two vertices"};
    if (!(cable.bandwidth >= kLeastBandwidth && cable.bandwidth <= kMostBandwidth))
      throw InputError{cable.where, fmt::format("{} B/s", cable.bandwidth.value()), "a bandwidth " + bandwidth_range()};
    if (!joined_.insert(std::minmax(from, to)).second)
      throw InputError{cable.where, fmt::format("a second link between '{}' and '{}'", cable.from, cable.to),
                       "one link with the bandwidth of both"};
    const Tier tier = cable.tier.value_or(tier_of(from, to));
    for (const auto& [a, b] : {std::pair{from, to}, std::pair{to, from}})
      graph_.links.push_back({fmt::format("{} -> {}", graph_.vertices[at(a)].name, graph_.vertices[at(b)].name), tier,
                              a, b, cable.bandwidth});
  }

  const GraphSpec& spec_;
  ClusterGraph& graph_;
  std::map<std::string, int> vertex_named_;
  std::set<std::pair<int, int>> joined_;
};

/// "a -> b" is one link; "a <-> b" are both.
void degrade(ClusterGraph& graph, const LinkFactor& change) {
  if (!(change.factor > 0 && change.factor <= 1))
    throw InputError{change.where, fmt::format("factor {}", change.factor), "above 0 and at most 1"};
  constexpr std::string_view kBoth = " <-> ";
  const std::size_t both = change.name.find(kBoth);
  std::vector<std::string> wanted{change.name};
  if (both != std::string::npos) {
    const std::string a = change.name.substr(0, both), b = change.name.substr(both + kBoth.size());
    wanted = {a + " -> " + b, b + " -> " + a};
  }
  std::size_t found = 0;
  for (Link& link : graph.links)
    if (std::find(wanted.begin(), wanted.end(), link.name) != wanted.end()) {
      link.capacity = change.factor * link.capacity;
      ++found;
    }
  if (found == wanted.size()) return;
  std::vector<std::string> names;
  for (const Link& link : graph.links) names.push_back(link.name);
  throw InputError{change.where, fmt::format("the unknown link '{}'", change.name),
                   "a link as `moesim topo` names it, as 'n0g0 -> leaf0.0' or 'n0g0 <-> leaf0.0'",
                   nearest(wanted.front(), names)};
}

}  // namespace

int ClusterGraph::nic_of_gpu(int gpu) const {
  const NodePlace& node = nodes[at(node_of_gpu[at(gpu)])];
  return node.first_nic + node.shape->nic_of_gpu[at(gpu - node.first_gpu)];
}

ClusterGraph build_graph(const ClusterSpec& cluster) {
  check_cluster(cluster);
  ClusterGraph graph = Builder{cluster}.build();
  if (cluster.fabric.kind == FabricKind::graph) CustomGraph{cluster.fabric.graph, graph}.add();
  for (const LinkFactor& change : cluster.degraded) degrade(graph, change);
  return graph;
}

}  // namespace moesim
