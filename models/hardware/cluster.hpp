#pragma once
// What the scenario says about the machine.

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "models/hardware/gpu.hpp"
#include "models/hardware/node_shape.hpp"

namespace moesim {

/// The network between nodes.
///   single_node     none
///   rail_optimised  NIC i of every node on rail i: leaves of one rail, all leaves on the same spines
///   multi_rail      the same with spines in planes: rail r meets only the rails of plane r mod planes
///   rail_only       rails of one leaf each, no spines
///   fat_tree        all NICs of a node on one leaf; two tiers, or three (leaf, spine of a pod, core)
///   dragonfly       groups of routers, all to all inside a group and between groups
///   torus           a router per node, each joined to its four neighbours in a 2D grid that closes on itself
///   graph           switches and cables as the scenario lists them
enum class FabricKind { single_node, rail_optimised, multi_rail, rail_only, fat_tree, dragonfly, torus, graph };
/// How traffic between GPUs of different index on different nodes travels.
///   forward  over the sender's own rail, then NVLink inside the receiving node (DeepEP normal mode)
///   pxn      NVLink to the sender node's GPU on the receiver's rail first, then that rail (NCCL PXN)
///   spine    from the sender's own NIC to the receiver's own NIC
/// Where a node lacks the rail that forward or pxn would take, they take one that both nodes have.
enum class RailPolicy { forward, pxn, spine };
/// How flows choose among equal uplinks: a hash of the flow, or evenly over all.
enum class SpreadPolicy { ecmp, spray };

/// As written in a scenario: "rail-optimised", "pxn", "spray".
std::string_view name_of(FabricKind kind);
std::string_view name_of(RailPolicy policy);
std::string_view name_of(SpreadPolicy policy);

/// A custom graph: switches by name, and cables between these and GPUs ("n0g3"), both directions alike.
struct GraphSpec {
  struct Switch {
    std::string name;
    std::string where;  ///< for messages: "file:line:column: cluster.fabric.vertices"
  };
  struct Cable {
    std::string from, to;
    BytesPerSecond bandwidth;
    std::optional<Tier> tier;  ///< empty: nvlink in a node, nic between a GPU and anything else, spine between switches
    std::string where;
  };
  std::vector<Switch> switches;
  std::vector<Cable> cables;
  std::string where = "cluster.fabric.links";
};

struct FabricSpec {
  FabricKind kind = FabricKind::single_node;
  BytesPerSecond nic;           ///< per GPU and direction
  double oversubscription = 1;  ///< leaf downlink / uplink capacity, >= 1
  int switch_ports = 64;        ///< of every switch
  std::string switch_name;      ///< catalogue part
  int rails = 0;                ///< 0: as many as a node has NICs. Fewer: NIC i is on rail i mod rails
  int planes = 1;               ///< multi_rail
  int tiers = 2;                ///< fat_tree: 2 or 3
  int groups = 0;               ///< dragonfly
  int routers = 0;              ///< of a dragonfly group
  int global_links = 0;         ///< of a dragonfly router; 0: as few as join each two groups
  int width = 0;                ///< of the torus; 0: the divisor of the nodes next below their root
  BytesPerSecond link;          ///< between routers; zero: as a NIC (dragonfly), as the NICs of a node (torus)
  GraphSpec graph;
};

/// Nodes that are alike, for clusters of several kinds.
struct NodeGroup {
  Gpu gpu;
  int count = 1;
  int gpus_per_node = 8;
  int nics_per_node = 0;  ///< 0: one per GPU
  BytesPerSecond nic = {};
  NodeLinks links = NodeLinks::nvswitch;
  std::shared_ptr<const NodeShape> shape = {};  ///< read from a file; empty: made from the above
};

/// A link that is slower than built, as after a cable fault.
struct LinkFactor {
  std::string name;   ///< "n2g5 -> leaf5.0", or "n2g5 <-> leaf5.0" for both directions
  double factor = 1;  ///< of its capacity, above 0 and at most 1
  std::string where = "cluster.links";
};

/// A GPU that computes slower than the others, as one that is throttled.
struct GpuFactor {
  std::string name;   ///< "n2g5"
  double factor = 1;  ///< of the others' speed, above 0 and at most 1: its kernels take 1 / factor as long
  std::string where = "cluster.slow_gpus";
};

struct ClusterSpec {
  Gpu gpu;  ///< of every node, or of the first group
  int nodes = 1;
  int gpus_per_node = 8;
  int nics_per_node = 0;           ///< 0: one per GPU
  std::optional<NodeLinks> links;  ///< empty: as the GPU's catalogue entry says
  int gpus_per_pcie_switch = 4;
  std::shared_ptr<const NodeShape> shape = {};  ///< of every node, read from a file
  std::vector<NodeGroup> groups = {};           ///< nodes of several kinds; `nodes` is their number then
  FabricSpec fabric;
  std::vector<LinkFactor> degraded = {};
  std::vector<GpuFactor> slow_gpus = {};
  RailPolicy rails = RailPolicy::forward;
  SpreadPolicy spread = SpreadPolicy::ecmp;
  double price_usd_per_gpu_hour = 0;

  int gpus() const;
};

/// The kinds of node in order: `groups`, or the one kind that the other fields describe.
std::vector<NodeGroup> node_groups(const ClusterSpec& cluster);

/// The GPU (kind) that a rank runs on. Throws std::invalid_argument for a rank that is not there.
const Gpu& gpu_of(const ClusterSpec& cluster, int rank);

/// Speed of each GPU as a share of what its kind does [GPUs]; empty when none is slow.
/// Throws InputError for a name that is not there or that is given twice, and for a factor out of range.
std::vector<double> gpu_speeds(const ClusterSpec& cluster);

/// One GPU kind, and equally many of them in each node: gpu g is index g % gpus_per_node of node g / gpus_per_node.
bool has_equal_nodes(const ClusterSpec& cluster);

/// What a simulation of serving cannot use yet: throws NotModelledYet for nodes that differ in GPU kind or number.
/// (NICs and links may differ: they only change the network.)
void check_served(const ClusterSpec& cluster);

}  // namespace moesim
