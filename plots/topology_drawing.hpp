#pragma once
// A cluster as a picture: DOT for graph tools, SVG for slides.

#include <string>
#include <vector>

#include "models/hardware/topology.hpp"

namespace moesim {

/// Graphviz source: one edge per cable bundle (both directions in one), nodes as clusters, tiers as ranks.
std::string topology_dot(const Topology& topology);

/// What a link is painted by, instead of its kind.
struct LinkShading {
  std::vector<double> share;  ///< [links] in [0, 1]
  std::string meaning;        ///< for the legend: "share of the time that it is busy"
};

/// A self-contained drawing, spines on top, leaves below, nodes with their GPUs at the bottom; nodes that share leaves
/// stand together under them. Up to 4 nodes every NVLink and NIC is drawn; beyond, nodes shrink to boxes. Rails have
/// the colours of Okabe and Ito and a number; greys read on light and dark ground.
///
/// With a shading, cables and GPUs have one colour scale from zero to the largest share, and a legend. What stands for
/// several links (a bundle, a trunk, a GPU with its own links) has the colour of its largest.
std::string topology_svg(const Topology& topology, const LinkShading* shading = nullptr);

}  // namespace moesim
