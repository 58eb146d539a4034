#pragma once
// The switches of a fabric and the cables between them, without the nodes. Internal to hardware.

#include <span>
#include <string>
#include <vector>

#include "models/hardware/topology.hpp"

namespace moesim {

/// Where a NIC is plugged in from below.
struct NicPlace {
  int node;
  int index;  ///< among the NICs of its node
  int rail;   ///< the index again where a fabric has no rails
  BytesPerSecond bandwidth;
};

struct SwitchNetwork {
  /// One direction.
  struct Cable {
    int from, to;  ///< switches
    Tier tier;
    BytesPerSecond capacity;
    std::string suffix = {};  ///< of its name
    int cost = 1;             ///< of a path over it
  };

  std::vector<Vertex> switches;  ///< those that NICs are plugged into come first
  std::vector<Cable> cables;
  std::vector<int> switch_of_nic;    ///< [nics]
  std::vector<int> index_of_switch;  ///< [edge switches], among those of its rail
  int edge_switches = 0;
  int edges_per_rail = 0;
  int torus_width = 0, torus_height = 0;  ///< 0: paths are the cheapest ones, else dimension by dimension

  void add_cables(int a, int b, Tier tier, BytesPerSecond capacity, const std::string& suffix = {}, int cost = 1);
};

/// Rails and fat trees of two tiers.
///
/// A leaf of P ports at oversubscription o has floor(P o / (1 + o)) ports down, the rest up. A rail takes as few leaves
/// as its nodes need; consecutive nodes share a leaf, and leaves differ by one node at most. A leaf with n NICs has u
/// = ceil(n / o) uplinks of (capacity of its NICs) / (o u) each, so that down : up is o : 1 exactly in capacity even
/// where n / o is not whole. Uplink i goes to spine i mod S, with the fewest spines S whose ports suffice. Spines exist
/// only where some route can need them: several leaves per rail, or rails that talk through the spine. A fat tree is
/// one rail with all NICs of a node on it.
SwitchNetwork leaf_spine_network(const ClusterSpec& cluster, std::span<const NicPlace> nics);

/// Leaves as above, in pods of at most P / 2. A pod has as many spines as a leaf has uplinks; each spine has as much
/// capacity up, to the cores of its number, as down.
SwitchNetwork three_tier_network(const ClusterSpec& cluster, std::span<const NicPlace> nics);

/// Consecutive nodes on a router, consecutive routers in a group. The global ports of a group go round the other groups
/// in order of their distance, floor(routers x global links / (groups - 1)) cables to each. Routes are minimal: at most
/// one global cable. Source: Kim, Dally, Scott, Abts, ISCA 2008.
SwitchNetwork dragonfly_network(const ClusterSpec& cluster, std::span<const NicPlace> nics);

/// Node n at (n mod width, n / width).
SwitchNetwork torus_network(const ClusterSpec& cluster, std::span<const NicPlace> nics);

SwitchNetwork plan_network(const ClusterSpec& cluster, std::span<const NicPlace> nics);

/// Leaves and the NICs on each: what both trees begin with.
struct LeafPlan {
  int rails = 1, leaves_per_rail = 0;
  std::vector<int> leaf_of_nic;           ///< [nics], rail-major
  std::vector<int> nics_on_leaf;          ///< [rails * leaves per rail]
  std::vector<BytesPerSecond> leaf_down;  ///< [the same], capacity of those NICs
  std::vector<int> uplinks;               ///< [the same]
  BytesPerSecond uplink(int leaf, double oversubscription) const {
    const auto l = static_cast<std::size_t>(leaf);
    return leaf_down[l] / (oversubscription * uplinks[l]);
  }
};
LeafPlan plan_leaves(const ClusterSpec& cluster, std::span<const NicPlace> nics);

}  // namespace moesim
