#pragma once
// A cluster as a picture: DOT for graph tools, SVG for slides.

#include <string>

#include "models/hardware/topology.hpp"

namespace moesim {

/// Graphviz source: one edge per cable bundle (both directions in one), nodes as clusters, tiers as ranks.
std::string topology_dot(const Topology& topology);

/// A self-contained drawing, spines on top, leaves below, nodes with their GPUs at the bottom; nodes that share leaves
/// stand together under them. Up to 4 nodes every NVLink and NIC is drawn; beyond, nodes shrink to boxes. Rails have
/// the colours of Okabe and Ito and a number; greys read on light and dark ground.
std::string topology_svg(const Topology& topology);

}  // namespace moesim
