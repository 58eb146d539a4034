#pragma once
// Clusters for hand arithmetic: 450 GB/s NVLinks, 50 GB/s NICs.

#include "models/hardware/topology.hpp"

namespace moesim::testing {

inline ClusterSpec small_cluster(int nodes, int gpus_per_node = 8, double oversubscription = 1, int switch_ports = 64) {
  ClusterSpec cluster;
  cluster.gpu.name = "hand-made";
  cluster.gpu.nvlink = BytesPerSecond{450e9};
  cluster.nodes = nodes;
  cluster.gpus_per_node = gpus_per_node;
  cluster.fabric.kind = nodes == 1 ? FabricKind::single_node : FabricKind::rail_optimised;
  cluster.fabric.nic = BytesPerSecond{50e9};
  cluster.fabric.oversubscription = oversubscription;
  cluster.fabric.switch_ports = switch_ports;
  return cluster;
}

}  // namespace moesim::testing
