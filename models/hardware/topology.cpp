#include "models/hardware/topology.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <stdexcept>

#include <boost/graph/adjacency_list.hpp>
#include <boost/graph/breadth_first_search.hpp>
#include <boost/graph/push_relabel_max_flow.hpp>
#include <fmt/format.h>

#include "models/hardware/fabric.hpp"
#include "models/units/error.hpp"

namespace moesim {
namespace {

std::size_t index(int i) {
  return static_cast<std::size_t>(i);
}

/// SplitMix64's finaliser (Steele, Lea, Flood, OOPSLA 2014): every bit of the key moves every bit of the result.
std::uint64_t mixed(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

/// The ECMP choice of a flow at its `hop`th switch, among `choices` equal-cost cables: a hash of the two NICs that it
/// enters and leaves the fabric by, as switches hash a flow's addresses.
std::size_t ecmp(int src_nic, int dst_nic, int hop, std::size_t choices) {
  const auto flow = (static_cast<std::uint64_t>(src_nic) << 32) | static_cast<std::uint32_t>(dst_nic);
  constexpr std::uint64_t kGolden = 0x9e3779b97f4a7c15ULL;  // SplitMix64's increment
  return mixed(flow + kGolden * static_cast<std::uint64_t>(hop + 1)) % choices;
}

/// Equal-cost shortest paths between the leaves: for each (switch, leaf to reach) the cables that come one hop nearer.
class SwitchPaths {
public:
  explicit SwitchPaths(const ClusterGraph& graph) : first_{graph.first_leaf} {
    const std::size_t switches = graph.vertices.size() - index(first_);
    leaves_ = index(graph.first_spine - first_);
    Graph reversed(switches);  // searched from the leaf to reach
    for (LinkId link = graph.first_switch_link; link < static_cast<LinkId>(graph.links.size()); ++link)
      boost::add_edge(local(graph.links[index(link)].to), local(graph.links[index(link)].from), reversed);
    cables_.resize(switches * leaves_);
    for (std::size_t leaf = 0; leaf < leaves_; ++leaf) search(graph, reversed, leaf);
  }

  const std::vector<LinkId>& cables(int at, int leaf) const { return cables_[local(at) * leaves_ + local(leaf)]; }

private:
  using Graph = boost::adjacency_list<boost::vecS, boost::vecS, boost::directedS>;

  std::size_t local(int vertex) const { return index(vertex - first_); }

  void search(const ClusterGraph& graph, const Graph& reversed, std::size_t leaf) {
    std::vector<int> hops(boost::num_vertices(reversed), -1);
    hops[leaf] = 0;
    boost::breadth_first_search(
        reversed, leaf,
        boost::visitor(boost::make_bfs_visitor(boost::record_distances(hops.data(), boost::on_tree_edge{}))));
    for (LinkId link = graph.first_switch_link; link < static_cast<LinkId>(graph.links.size()); ++link) {
      const std::size_t from = local(graph.links[index(link)].from), to = local(graph.links[index(link)].to);
      if (hops[to] >= 0 && hops[from] == hops[to] + 1) cables_[from * leaves_ + leaf].push_back(link);
    }
  }

  int first_;
  std::size_t leaves_ = 0;
  std::vector<std::vector<LinkId>> cables_;
};

/// Appends routes link by link.
class Router {
public:
  Router(const ClusterSpec& cluster, const ClusterGraph& graph) : cluster_{cluster}, graph_{graph}, paths_{graph} {}

  void append(int src, int dst, std::vector<LinkId>& route) const {
    const int gpus = cluster_.gpus_per_node;
    if (src == dst) return;
    if (src / gpus == dst / gpus) return through_node(src, dst, route);
    switch (cluster_.rails) {
      case RailPolicy::forward: {
        const int relay = dst / gpus * gpus + src % gpus;
        through_fabric(src, relay, route);
        return through_node(relay, dst, route);
      }
      case RailPolicy::pxn: {
        const int relay = src / gpus * gpus + dst % gpus;
        through_node(src, relay, route);
        return through_fabric(relay, dst, route);
      }
      case RailPolicy::spine:
        return through_fabric(src, dst, route);
    }
    throw std::invalid_argument{"unknown RailPolicy"};
  }

private:
  void through_node(int src, int dst, std::vector<LinkId>& route) const {
    if (src == dst) return;
    route.push_back(graph_.nvlink_up + src);
    route.push_back(graph_.nvlink_down + dst);
  }

  void through_fabric(int src, int dst, std::vector<LinkId>& route) const {
    route.push_back(graph_.nic_up + src);
    const int last = graph_.links[index(graph_.nic_down + dst)].from;
    int at = graph_.links[index(graph_.nic_up + src)].to;
    for (int hop = 0; at != last; ++hop) {
      const std::vector<LinkId>& choices = paths_.cables(at, last);
      const LinkId cable = choices[choices.size() == 1 ? 0 : ecmp(src, dst, hop, choices.size())];
      route.push_back(cable);
      at = graph_.links[index(cable)].to;
    }
    route.push_back(graph_.nic_down + dst);
  }

  const ClusterSpec& cluster_;
  const ClusterGraph& graph_;
  SwitchPaths paths_;
};

/// Maximum flow over the links, in whole bytes per second (exact to 1e-9 of any real link; push-relabel on doubles
/// need not end).
class MaxFlow {
public:
  explicit MaxFlow(const ClusterGraph& graph) : flow_(graph.vertices.size() + 2) {
    for (const Link& link : graph.links) add(index(link.from), index(link.to), std::llround(link.capacity.value()));
  }

  long long between(std::span<const int> sources, std::span<const int> sinks) {
    const std::size_t source = boost::num_vertices(flow_) - 2, sink = source + 1;
    const long long unlimited = total_ + 1;
    for (int gpu : sources) add(source, index(gpu), unlimited);
    for (int gpu : sinks) add(index(gpu), sink, unlimited);
    return boost::push_relabel_max_flow(flow_, source, sink);
  }

private:
  using Traits = boost::adjacency_list_traits<boost::vecS, boost::vecS, boost::directedS>;
  using Graph = boost::adjacency_list<
      boost::vecS, boost::vecS, boost::directedS, boost::no_property,
      boost::property<boost::edge_capacity_t, long long,
                      boost::property<boost::edge_residual_capacity_t, long long,
                                      boost::property<boost::edge_reverse_t, Traits::edge_descriptor>>>>;

  void add(std::size_t from, std::size_t to, long long capacity) {
    const auto forth = boost::add_edge(from, to, flow_).first, back = boost::add_edge(to, from, flow_).first;
    boost::put(boost::edge_capacity, flow_, forth, capacity);
    boost::put(boost::edge_reverse, flow_, forth, back);
    boost::put(boost::edge_reverse, flow_, back, forth);
    total_ += capacity;
  }

  Graph flow_;
  long long total_ = 0;
};

std::vector<int> numbers(int from, int to) {
  std::vector<int> all(index(to - from));
  std::iota(all.begin(), all.end(), from);
  return all;
}

}  // namespace

std::string_view name_of(Tier tier) {
  switch (tier) {
    case Tier::nvlink:
      return "nvlink";
    case Tier::nic:
      return "nic";
    case Tier::spine:
      return "spine";
  }
  throw std::invalid_argument{"unknown Tier"};
}

struct Topology::State {
  ClusterSpec cluster;
  FabricPlan plan;
  ClusterGraph graph;
  std::vector<LinkId> route_links;         ///< of all pairs, one after the other
  std::vector<std::uint32_t> route_begin;  ///< [gpus * gpus + 1]

  explicit State(const ClusterSpec& spec)
      : cluster{spec}, plan{plan_fabric(cluster)}, graph{build_graph(cluster, plan)} {
    const std::size_t pairs = index(cluster.gpus()) * index(cluster.gpus());
    const std::size_t longest = plan.leaves_per_rail == 0 ? 2 : 6;
    route_links.reserve(pairs * longest);  // pages that stay unused cost no memory
    route_begin.reserve(pairs + 1);
    const Router router{cluster, graph};
    for (int src = 0; src < cluster.gpus(); ++src)
      for (int dst = 0; dst < cluster.gpus(); ++dst) {
        route_begin.push_back(static_cast<std::uint32_t>(route_links.size()));
        router.append(src, dst, route_links);
      }
    route_begin.push_back(static_cast<std::uint32_t>(route_links.size()));
  }

  int check_gpu(int gpu) const {
    if (gpu < 0 || gpu >= cluster.gpus()) throw std::invalid_argument{fmt::format("GPU {} of {}", gpu, cluster.gpus())};
    return gpu;
  }
};

Topology::Topology(const ClusterSpec& cluster) : state_{std::make_unique<State>(cluster)} {}
Topology::~Topology() = default;
Topology::Topology(Topology&&) noexcept = default;
Topology& Topology::operator=(Topology&&) noexcept = default;

int Topology::gpus() const {
  return state_->cluster.gpus();
}
int Topology::nodes() const {
  return state_->cluster.nodes;
}
int Topology::gpus_per_node() const {
  return state_->cluster.gpus_per_node;
}
std::span<const Vertex> Topology::vertices() const {
  return state_->graph.vertices;
}
std::span<const Link> Topology::links() const {
  return state_->graph.links;
}

std::span<const LinkId> Topology::route(int src, int dst) const {
  const std::size_t pair = index(state_->check_gpu(src)) * index(gpus()) + index(state_->check_gpu(dst));
  const std::size_t begin = state_->route_begin[pair];
  return {state_->route_links.data() + begin, state_->route_begin[pair + 1] - begin};
}

BytesPerSecond Topology::min_cut(std::span<const int> sources, std::span<const int> sinks) const {
  if (sources.empty() || sinks.empty()) throw std::invalid_argument{"a cut needs GPUs on both sides"};
  std::vector<char> side(index(gpus()), 0);
  for (int gpu : sources) side[index(state_->check_gpu(gpu))] = 1;
  for (int gpu : sinks)
    if (side[index(state_->check_gpu(gpu))] != 0)
      throw std::invalid_argument{fmt::format("GPU {} is on both sides of a cut", gpu)};
  return BytesPerSecond{static_cast<double>(MaxFlow{state_->graph}.between(sources, sinks))};
}

BytesPerSecond Topology::bisection() const {
  if (gpus() == 1) return BytesPerSecond{0};
  const int half = nodes() == 1 ? gpus() / 2 : nodes() / 2 * gpus_per_node();
  return min_cut(numbers(0, half), numbers(half, gpus()));
}

std::vector<TierCapacity> Topology::capacity_per_tier() const {
  std::vector<TierCapacity> tiers;
  for (const Tier tier : {Tier::nvlink, Tier::nic, Tier::spine}) {
    TierCapacity sum{tier, 0, BytesPerSecond{0}};
    for (const Link& link : links()) {
      if (link.tier != tier) continue;
      ++sum.links;
      sum.total += link.capacity;
    }
    tiers.push_back(sum);
  }
  return tiers;
}

int Topology::leaves_per_rail() const {
  return state_->plan.leaves_per_rail;
}
int Topology::leaf_of(int gpu) const {
  return state_->plan.leaf_of_node[index(node_of(state_->check_gpu(gpu)))];
}

}  // namespace moesim
