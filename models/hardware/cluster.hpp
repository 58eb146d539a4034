#pragma once
// What the scenario says about the machine.

#include <string>
#include <string_view>

#include "models/hardware/gpu.hpp"

namespace moesim {

enum class FabricKind { single_node, rail_optimised };
/// How traffic between GPUs of different index on different nodes travels.
///   forward  over the sender's own rail, then NVLink inside the receiving node (DeepEP normal mode)
///   pxn      NVLink to the sender node's GPU on the receiver's rail first, then that rail (NCCL PXN)
///   spine    NIC to own leaf, spine, the receiver's leaf
enum class RailPolicy { forward, pxn, spine };
/// How flows choose among equal uplinks: a hash of the flow, or evenly over all.
enum class SpreadPolicy { ecmp, spray };

/// As written in a scenario: "rail-optimised", "pxn", "spray".
std::string_view name_of(FabricKind kind);
std::string_view name_of(RailPolicy policy);
std::string_view name_of(SpreadPolicy policy);

struct FabricSpec {
  FabricKind kind = FabricKind::single_node;
  BytesPerSecond nic;           ///< per GPU and direction
  double oversubscription = 1;  ///< leaf downlink / uplink capacity, >= 1
  int switch_ports = 64;        ///< of leaf and spine
  std::string switch_name;      ///< catalogue part
};

struct ClusterSpec {
  Gpu gpu;
  int nodes = 1;
  int gpus_per_node = 8;
  FabricSpec fabric;
  RailPolicy rails = RailPolicy::forward;
  SpreadPolicy spread = SpreadPolicy::ecmp;
  double price_usd_per_gpu_hour = 0;

  int gpus() const { return nodes * gpus_per_node; }
};

}  // namespace moesim
