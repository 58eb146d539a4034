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
  int check_gpu(int gpu) const {
    if (gpu < 0 || gpu >= gpus()) throw std::invalid_argument{fmt::format("GPU {} of {}", gpu, gpus())};
    return gpu;
  }
};

Topology::Topology(const ClusterSpec& cluster) : state_{std::make_unique<State>(cluster)} {}
Topology::~Topology() = default;
Topology::Topology(Topology&&) noexcept = default;
Topology& Topology::operator=(Topology&&) noexcept = default;

int Topology::gpus() const {
  return state_->gpus();
}
int Topology::nodes() const {
  return static_cast<int>(state_->graph.nodes.size());
}
int Topology::gpus_per_node() const {
  return state_->gpus_per_node;
}
std::span<const Vertex> Topology::vertices() const {
  return state_->graph.vertices;
}
std::span<const Link> Topology::links() const {
  return state_->graph.links;
}

std::span<const LinkId> Topology::route(int src, int dst) const {
  return state_->routes.between(state_->check_gpu(src), state_->check_gpu(dst));
}

BytesPerSecond Topology::min_cut(std::span<const int> sources, std::span<const int> sinks) const {
  if (sources.empty() || sinks.empty()) throw std::invalid_argument{"a cut needs GPUs on both sides"};
  std::vector<char> side(index(gpus()), 0);
  for (int gpu : sources) side[index(state_->check_gpu(gpu))] = 1;
  for (int gpu : sinks)
    if (side[index(state_->check_gpu(gpu))] != 0)
      throw std::invalid_argument{fmt::format("GPU {} is on both sides of a cut", gpu)};
  return maximum_flow(links(), vertices().size(), sources, sinks);
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
  return state_->graph.node_of_gpu[index(state_->check_gpu(gpu))];
}
int Topology::rail_of(int gpu) const {
  return gpu - first_gpu(node_of(gpu));
}
int Topology::first_gpu(int node) const {
  return state_->graph.nodes.at(index(node)).first_gpu;
}
int Topology::gpus_of_node(int node) const {
  return state_->graph.nodes.at(index(node)).shape->gpus;
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
  if (graph.nics.empty()) return 0 * state_->check_gpu(gpu);
  const int nic = graph.nic_of_gpu(state_->check_gpu(gpu));
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
