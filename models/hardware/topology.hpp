#pragma once
// The cluster as a graph of directed links: routes, cuts, capacities. Boost.Graph stays inside topology.cpp.

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/hardware/cluster.hpp"

namespace moesim {

enum class Tier { nvlink, nic, spine };  ///< nvlink: GPU-NVSwitch; nic: GPU-leaf; spine: leaf-spine
std::string_view name_of(Tier tier);

enum class VertexKind { gpu, nvswitch, leaf, spine };

struct Vertex {
  std::string name;  ///< "n2g5", "n2 nvswitch", "leaf3.0", "spine1"
  VertexKind kind;
  int node = -1;  ///< of GPUs and NVSwitches
  int rail = -1;  ///< of GPUs and leaves
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

/// Immutable after construction. How many switches there are and how they are cabled: models/hardware/fabric.hpp.
///
/// Routes are shortest paths; among equal cables SpreadPolicy::ecmp takes the one that a hash of (source NIC,
/// destination NIC) points at, SpreadPolicy::spray has but one bundle. A single node has no NIC links, a node of one
/// GPU no NVLinks. GPU g is rank-in-cluster g: node g / gpus_per_node, rail g % gpus_per_node.
class Topology {
public:
  /// Throws InputError for a cluster that cannot be built (no nodes, several nodes without a NIC, oversubscription < 1,
  /// NICs faster than the ports of the named switch), NotModelledYet for one that needs a third switch tier.
  explicit Topology(const ClusterSpec& cluster);
  ~Topology();
  Topology(Topology&&) noexcept;
  Topology& operator=(Topology&&) noexcept;

  int gpus() const;
  int nodes() const;
  int gpus_per_node() const;
  int node_of(int gpu) const { return gpu / gpus_per_node(); }
  int rail_of(int gpu) const { return gpu % gpus_per_node(); }

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

  int leaves_per_rail()
      const;  ///< 0: one node. > 1: the nodes do not fit under one leaf, and cross-leaf traffic meets the spine
  int leaf_of(int gpu) const;  ///< index of the GPU's leaf among the leaves of its rail

private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace moesim
