#pragma once
// What both drawings of a topology need to know of it.

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "models/hardware/topology.hpp"

namespace moesim {

/// Cables between two vertices, both directions in one.
struct CableBundle {
  int lower = -1, upper = -1;  ///< vertices: GPU below its switch, leaf below its spine
  Tier tier = Tier::nvlink;
  int cables = 0;
  BytesPerSecond capacity;  ///< per direction
};

/// In the order of their first link.
std::vector<CableBundle> cable_bundles(const Topology& topology);

struct TopologyFacts {
  std::vector<int> leaves, spines;      ///< vertices
  std::vector<int> leaf_block_of_node;  ///< [nodes], 0 without a fabric
  int leaf_blocks = 1;                  ///< nodes of one block share their leaves
  BytesPerSecond nvlink, nic;           ///< of one GPU (mesh: of one link), zero: none
  BytesPerSecond pcie;                  ///< of one GPU, zero: not shown
  BytesPerSecond leaf_up, leaf_down;    ///< of the first leaf, all its cables
  int uplinks = 0;                      ///< of the first leaf
  bool bundled = false;                 ///< SpreadPolicy::spray: its uplinks are one link
  std::string title, subtitle;
};

TopologyFacts facts_of(const Topology& topology);

/// Equal nodes of one NVSwitch (or one GPU), alone or on rails.
bool stands_on_rails(const Topology& topology);

}  // namespace moesim
