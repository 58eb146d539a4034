#pragma once
// Small clusters for tests of traffic, collectives and the flow replay.

#include "models/hardware/topology.hpp"
#include "models/placement/placement.hpp"
#include "models/units/random.hpp"

namespace moesim::testing {

/// 450 GB/s NVLink and 50 GB/s NIC per GPU and direction; `ports` of the switches decide how many leaves a rail needs.
inline ClusterSpec cluster_of(int nodes, int gpus_per_node, RailPolicy rails = RailPolicy::forward,
                              SpreadPolicy spread = SpreadPolicy::spray, int ports = 64) {
  ClusterSpec cluster;
  cluster.gpu.name = "test-gpu";
  cluster.gpu.nvlink = 450.0_GBps;
  cluster.gpu.nic = 50.0_GBps;
  cluster.gpu.gpus_per_node = gpus_per_node;
  cluster.nodes = nodes;
  cluster.gpus_per_node = gpus_per_node;
  cluster.fabric.kind = nodes > 1 ? FabricKind::rail_optimised : FabricKind::single_node;
  cluster.fabric.nic = 50.0_GBps;
  cluster.fabric.switch_ports = ports;
  cluster.rails = rails;
  cluster.spread = spread;
  return cluster;
}

/// One layer, expert e in slot e, slots evenly over the ranks.
inline Placement linear_placement(int experts, int ranks) {
  Placement placement{
      .layers = 1, .experts = experts, .ranks = ranks, .slots_per_rank = experts / ranks, .expert_of = {}};
  for (int expert = 0; expert < experts; ++expert) placement.expert_of.push_back(expert);
  return placement;
}

/// `count` distinct numbers below `of`, all subsets alike (Floyd's algorithm).
inline std::vector<int> distinct(Random& random, int count, int of) {
  std::vector<int> taken;
  for (int i = of - count; i < of; ++i) {
    const int candidate = static_cast<int>(random.below(static_cast<std::uint32_t>(i + 1)));
    bool known = false;
    for (int t : taken) known = known || t == candidate;
    taken.push_back(known ? i : candidate);
  }
  return taken;
}

}  // namespace moesim::testing
