#include "models/hardware/topology.hpp"

#include <algorithm>
#include <numeric>
#include <stdexcept>

#include <fmt/format.h>

#include "models/hardware/max_flow.hpp"
#include "models/hardware/routes.hpp"

namespace moesim {
namespace {

std::size_t index(int i) {
  return static_cast<std::size_t>(i);
}

std::vector<int> numbers(int from, int to) {
  std::vector<int> all(index(to - from));
  std::iota(all.begin(), all.end(), from);
  return all;
}

}  // namespace

struct Topology::State {
  ClusterSpec cluster;
  ClusterGraph graph;
  RouteTable routes;
  int gpus_per_node = 0;

  explicit State(const ClusterSpec& spec) : cluster{spec}, graph{build_graph(cluster)}, routes{cluster, graph} {
    for (const NodePlace& node : graph.nodes) gpus_per_node = std::max(gpus_per_node, node.shape->gpus);
  }

  int gpus() const { return static_cast<int>(graph.node_of_gpu.size()); }
};

Topology::Topology(const ClusterSpec& cluster)
    : state_{std::make_shared<State>(cluster)},
      gpus_{state_->gpus()},
      nodes_{static_cast<int>(state_->graph.nodes.size())} {}

Topology::Topology(std::shared_ptr<const State> state, int first, int gpus)
    : state_{std::move(state)},
      first_gpu_{first},
      gpus_{gpus},
      first_node_{state_->graph.node_of_gpu[index(first)]},
      nodes_{state_->graph.node_of_gpu[index(first + gpus - 1)] - first_node_ + 1} {}

Topology Topology::window(int first, int gpus) const {
  if (gpus < 1 || first < 0 || first > gpus_ - gpus)
    throw std::invalid_argument{fmt::format("GPUs {} to {} of {}", first, first + gpus - 1, gpus_)};
  const int end = first + gpus;
  const bool starts_node = rail_of(first) == 0, ends_node = end == gpus_ || rail_of(end) == 0;
  if (node_of(first) != node_of(end - 1) && !(starts_node && ends_node))
    throw std::invalid_argument{fmt::format("GPUs {} to {} are parts of several nodes", first, end - 1)};
  return Topology{state_, first_gpu_ + first, gpus};
}

/// The GPU of the cluster.
int Topology::in_cluster(int gpu) const {
  if (gpu < 0 || gpu >= gpus_) throw std::invalid_argument{fmt::format("GPU {} of {}", gpu, gpus_)};
  return first_gpu_ + gpu;
}

int Topology::gpus() const {
  return gpus_;
}
int Topology::nodes() const {
  return nodes_;
}
int Topology::gpus_per_node() const {
  return std::min(state_->gpus_per_node, gpus_);
}
std::span<const Vertex> Topology::vertices() const {
  return state_->graph.vertices;
}
std::span<const Link> Topology::links() const {
  return state_->graph.links;
}

std::span<const LinkId> Topology::route(int src, int dst) const {
  return state_->routes.between(in_cluster(src), in_cluster(dst));
}

BytesPerSecond Topology::min_cut(std::span<const int> sources, std::span<const int> sinks) const {
  if (sources.empty() || sinks.empty()) throw std::invalid_argument{"a cut needs GPUs on both sides"};
  std::vector<int> from, to;
  for (int gpu : sources) from.push_back(in_cluster(gpu));
  for (int gpu : sinks) {
    if (std::find(sources.begin(), sources.end(), gpu) != sources.end())
      throw std::invalid_argument{fmt::format("GPU {} is on both sides of a cut", gpu)};
    to.push_back(in_cluster(gpu));
  }
  return maximum_flow(links(), vertices().size(), from, to);
}

BytesPerSecond Topology::bisection() const {
  if (gpus() == 1) return BytesPerSecond{0};
  const int half = nodes() == 1 ? gpus() / 2 : first_gpu(nodes() / 2);
  return min_cut(numbers(0, half), numbers(half, gpus()));
}

std::vector<TierCapacity> Topology::capacity_per_tier() const {
  std::vector<TierCapacity> tiers;
  for (const Tier tier : kTiers) {
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

int Topology::node_of(int gpu) const {
  return state_->graph.node_of_gpu[index(in_cluster(gpu))] - first_node_;
}
int Topology::rail_of(int gpu) const {
  return gpu - first_gpu(node_of(gpu));
}
int Topology::first_gpu(int node) const {
  return std::max(0, state_->graph.nodes.at(index(first_node_ + node)).first_gpu - first_gpu_);
}
int Topology::gpus_of_node(int node) const {
  return std::min(gpus_, state_->graph.nodes.at(index(first_node_ + node)).shape->gpus);
}

FabricKind Topology::fabric() const {
  return nodes() == 1 && state_->cluster.fabric.kind != FabricKind::graph ? FabricKind::single_node
                                                                          : state_->cluster.fabric.kind;
}
int Topology::leaves_per_rail() const {
  return state_->graph.network.edges_per_rail;
}
int Topology::leaf_of(int gpu) const {
  const ClusterGraph& graph = state_->graph;
  if (graph.nics.empty()) return 0 * in_cluster(gpu);
  const int nic = graph.nic_of_gpu(in_cluster(gpu));
  return graph.network.index_of_switch[index(graph.nic_links[index(nic)].edge_switch)];
}

void check_buildable(const ClusterSpec& cluster) {
  const ClusterGraph graph = build_graph(cluster);
  if (cluster.fabric.kind == FabricKind::graph) RouteTable{cluster, graph};
}

std::vector<std::string> Topology::notes() const {
  std::vector<std::string> notes;
  for (const NodeShape& shape : state_->graph.shapes) notes.insert(notes.end(), shape.notes.begin(), shape.notes.end());
  return notes;
}

}  // namespace moesim
