#include "tests/engine/random_collectives.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>

#include <fmt/format.h>

#include "tests/traffic/clusters.hpp"

namespace moesim::testing {
namespace {

constexpr double kTokenBytes = 7392 * 64.0;  // large tokens: flows last long against SimGrid's nanosecond

struct Shape {
  int nodes, gpus_per_node, ports;
};

// One node; one leaf per rail; several leaves per rail, whose uplinks collide under ECMP.
constexpr Shape kShapes[] = {{1, 4, 64}, {1, 8, 64}, {2, 4, 64}, {4, 4, 64}, {8, 1, 8},  {8, 2, 8},
                             {3, 8, 64}, {10, 2, 8}, {2, 8, 64}, {6, 4, 16}, {8, 4, 16}, {8, 8, 64}};

template <class Choices>
const auto& pick(Random& random, const Choices& choices) {
  return choices[random.below(static_cast<std::uint32_t>(std::size(choices)))];
}

std::vector<Flow> pairwise(Random& random, Pattern pattern, const Topology& topology) {
  const int gpus = topology.gpus();
  const int receivers = 1 + static_cast<int>(random.below(3));
  DispatchTraffic traffic{TrafficMatrix{gpus}, TrafficMatrix{gpus}, TrafficMatrix{gpus}, {}, 0};
  for (int src = 0; src < gpus; ++src)
    for (int dst = 0; dst < gpus; ++dst) {
      const double size = std::exp(0.8 * random.normal()) * 20 * kTokenBytes, chance = random.uniform();
      double& bytes = traffic.direct.at(src, dst);
      if (pattern == Pattern::uniform) bytes = 20 * kTokenBytes;
      if (pattern == Pattern::continuous) bytes = size;
      if (pattern == Pattern::sparse && (chance < 0.15 || dst == src + 1)) bytes = size;
      if (pattern == Pattern::incast && dst < receivers) bytes = chance < 0.5 ? size : 20 * kTokenBytes;
    }
  return flows_of(traffic, topology);
}

/// 32 tokens per GPU, 8 of 4 experts per GPU, popularity 1/i^0.8 in an order of its own.
std::vector<Flow> token_flows(Random& random, CopyRule rule, const Topology& topology) {
  const int gpus = topology.gpus(), experts = 4 * gpus, top_k = 8;
  std::vector<double> key(static_cast<std::size_t>(experts));
  std::vector<int> chosen, source_of;
  const auto rank_of = distinct(random, experts, experts);
  for (int token = 0; token < 32 * gpus; ++token) {
    // The k smallest exponential keys with rates p_e are k draws without replacement in proportion to p_e.
    for (std::size_t e = 0; e < key.size(); ++e) key[e] = -std::log(random.uniform()) * std::pow(1 + rank_of[e], 0.8);
    for (int i = 0; i < top_k; ++i) {
      const auto first = std::min_element(key.begin(), key.end());
      chosen.push_back(static_cast<int>(first - key.begin()));
      *first = INFINITY;
    }
    source_of.push_back(token % gpus);
  }
  const auto traffic = count_dispatch(chosen, source_of, top_k, linear_placement(experts, gpus), 0, rule,
                                      ReplicaChoice::uniform_random, Bytes{kTokenBytes}, topology, 1);
  return flows_of(traffic, topology);
}

ClusterSpec random_cluster(Random& random, Pattern pattern) {
  Shape shape = pick(random, kShapes);
  // Every flow its own end means a new sharing problem per flow: keep those small.
  while (pattern == Pattern::continuous && shape.nodes * shape.gpus_per_node > 24) shape = pick(random, kShapes);
  constexpr RailPolicy kRails[] = {RailPolicy::forward, RailPolicy::pxn, RailPolicy::spine};
  constexpr SpreadPolicy kSpreads[] = {SpreadPolicy::ecmp, SpreadPolicy::spray};
  auto cluster =
      cluster_of(shape.nodes, shape.gpus_per_node, pick(random, kRails), pick(random, kSpreads), shape.ports);
  cluster.fabric.oversubscription = 1 + random.below(3);
  return cluster;
}

}  // namespace

RandomCollective random_collective(Pattern pattern, std::uint32_t seed) {
  Random random{seed, Purpose::test, 7, static_cast<std::uint32_t>(pattern)};
  const ClusterSpec cluster = pattern == Pattern::deployed ? cluster_of(2 + static_cast<int>(random.below(4)), 8)
                                                           : random_cluster(random, pattern);
  Topology topology{cluster};
  const bool tokens = pattern == Pattern::skewed || pattern == Pattern::relayed || pattern == Pattern::deployed;
  const auto rule = pattern == Pattern::relayed ? CopyRule::per_node : CopyRule::per_expert;
  auto flows = tokens ? token_flows(random, rule, topology) : pairwise(random, pattern, topology);
  auto what = fmt::format("seed {}: {} nodes of {}, rails {}, {}, oversubscription {}, {} flows", seed, cluster.nodes,
                          cluster.gpus_per_node, static_cast<int>(cluster.rails),
                          cluster.spread == SpreadPolicy::ecmp ? "ecmp" : "spray", cluster.fabric.oversubscription,
                          flows.size());
  return {std::move(topology), std::move(flows), std::move(what)};
}

}  // namespace moesim::testing
