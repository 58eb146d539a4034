#pragma once
// Which switches a cluster needs, how they are cabled, and the vertices and links that come of it. Internal to
// hardware.

#include <vector>

#include "models/hardware/topology.hpp"

namespace moesim {

/// The leaf-spine fabric of a cluster, alike on every rail.
///
/// A leaf of P ports at oversubscription o has floor(P o / (1 + o)) ports down, the rest up. A rail takes as few leaves
/// as its nodes need; consecutive nodes share a leaf, and leaves differ by one node at most. A leaf with n nodes has u
/// = ceil(n / o) uplinks of n nic / (o u) each, so that down : up is o : 1 exactly in capacity even where n / o is not
/// whole. Uplink i goes to spine i mod S, with the fewest spines S whose ports suffice. Spines exist only where some
/// route can need them: several leaves per rail, or rails that talk through the spine.
struct FabricPlan {
  int leaves_per_rail = 0;         ///< 0: no fabric (one node)
  std::vector<int> leaf_of_node;   ///< [nodes], index among the leaves of a rail
  std::vector<int> nodes_on_leaf;  ///< [leaves per rail]
  std::vector<int> uplinks;        ///< [leaves per rail], 0: no spine
  int spines = 0;

  BytesPerSecond uplink_capacity(const FabricSpec& fabric, int leaf) const {
    return nodes_on_leaf[static_cast<std::size_t>(leaf)] * fabric.nic /
           (fabric.oversubscription * uplinks[static_cast<std::size_t>(leaf)]);
  }
};

/// Throws InputError for a cluster that cannot be built, NotModelledYet beyond two switch tiers or kMostRoutedGpus.
FabricPlan plan_fabric(const ClusterSpec& cluster);

/// Vertices and directed links, in a fixed order: GPU g is vertex g.
struct ClusterGraph {
  std::vector<Vertex> vertices;
  std::vector<Link> links;
  int first_nvswitch = 0, first_leaf = 0, first_spine = 0;  ///< vertices
  LinkId nvlink_up = -1, nvlink_down = -1;                  ///< of GPU 0; GPU g's is g later. -1: none
  LinkId nic_up = -1, nic_down = -1;
  LinkId first_switch_link = 0;  ///< leaf-spine links from here to the end
};

ClusterGraph build_graph(const ClusterSpec& cluster, const FabricPlan& plan);

/// All-pairs routes are held in memory: 1.3 GB of links at this size.
inline constexpr int kMostRoutedGpus = 8192;

}  // namespace moesim
