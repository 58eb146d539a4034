#pragma once
// The cluster as a graph of directed links: routes, cuts, capacities. Boost.Graph stays inside topology.cpp.

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/hardware/cluster.hpp"

namespace moesim {

struct Vertex {
  std::string name;  ///< "n2g5", "n2 nvswitch", "leaf3.0", "spine1"
  VertexKind kind;
  int node = -1;  ///< of GPUs and what else is in a node
  int rail = -1;  ///< of leaves; of a GPU its index in the node; of a dragonfly router its group
};

using LinkId = int;

/// One direction of a cable (or, under SpreadPolicy::spray, of a bundle of equal cables).
struct Link {
  std::string name;  ///< "n2g5 -> leaf5.0"
  Tier tier;
  int from, to;  ///< vertices
  BytesPerSecond capacity;
};

struct TierCapacity {
  Tier tier;
  int links;
  BytesPerSecond total;
};

/// Immutable after construction; copies share one cluster. How many switches there are and how they are cabled:
/// models/hardware/switch_network.hpp; what a node is made of: node_shape.hpp.
///
/// Routes: inside a node NVLink where there is any, else PCIe; between nodes by the rail policy, over cheapest paths of
/// the fabric (dragonfly: minimal; torus: dimension order; custom graph: fewest links). Among equal cables
/// SpreadPolicy::ecmp takes the one that a hash of (source NIC, destination NIC) points at, SpreadPolicy::spray has but
/// one bundle. A single node has no NIC links, a node of one GPU no NVLinks. GPU g is rank-in-cluster g; with equal
/// nodes that is node g / gpus_per_node, index g % gpus_per_node.
class Topology {
public:
  /// Throws InputError for a cluster that cannot be built (no nodes, several nodes without a NIC, oversubscription < 1,
  /// NICs faster than the ports of the named switch, a graph that is not connected ...), NotModelledYet for one that
  /// needs more switch tiers than its fabric has, or more memory for routes than is sane.
  explicit Topology(const ClusterSpec& cluster);

  /// The same cluster as a group of consecutive GPUs sees it: GPU 0 is `first`, vertices and links are the cluster's.
  /// Throws std::invalid_argument for GPUs that are not there, or that are neither within one node nor whole nodes.
  Topology window(int first, int gpus) const;

  int gpus() const;
  int nodes() const;
  int gpus_per_node() const;      ///< the most, where nodes differ
  int node_of(int gpu) const;     ///< throws std::invalid_argument for a GPU that is not there
  int rail_of(int gpu) const;     ///< its index in the node
  int first_gpu(int node) const;  ///< throws std::out_of_range
  int gpus_of_node(int node) const;

  std::span<const Vertex> vertices() const;
  std::span<const Link> links() const;

  /// Links that bytes from one GPU to another cross, in order, under the rail and spread policy. Empty when src == dst.
  /// Throws std::invalid_argument for a GPU that is not there (as do all members that take one).
  std::span<const LinkId> route(int src, int dst) const;

  /// Smallest total capacity whose removal cuts the first GPU set from the second (max-flow, push-relabel). A property
  /// of the cables: bytes may cross other GPUs on the way, whatever the rail policy.
  /// Throws std::invalid_argument when a set is empty or the sets overlap.
  BytesPerSecond min_cut(std::span<const int> sources, std::span<const int> sinks) const;
  /// Min cut between the first and the second half of the nodes (of the GPUs of a single node). Zero
  /// for a single GPU.
  BytesPerSecond bisection() const;

  std::vector<TierCapacity> capacity_per_tier() const;  ///< every tier, also one without links

  FabricKind fabric() const;  ///< single_node for one node without a custom graph
  /// Switches that NICs are plugged into, of one rail; of all where there are no rails. 0: one node, or a custom graph.
  /// > 1: the nodes do not fit under one leaf, and traffic between leaves meets more switches.
  int leaves_per_rail() const;
  int leaf_of(int gpu) const;  ///< index of the switch of the GPU's NIC among those of its rail

  /// What a file of a node left open, and what was taken instead.
  std::vector<std::string> notes() const;

private:
  struct State;
  Topology(std::shared_ptr<const State> state, int first, int gpus);
  int in_cluster(int gpu) const;

  std::shared_ptr<const State> state_;
  int first_gpu_ = 0, gpus_, first_node_ = 0, nodes_;
};

/// Builds the network of a cluster without its routes (with them for a custom graph). Throws as Topology does.
void check_buildable(const ClusterSpec& cluster);

}  // namespace moesim
