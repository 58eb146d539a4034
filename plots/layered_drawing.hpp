#pragma once
// A drawing of any topology in layers: what is in nodes below, switches above.

#include <string>

#include "models/hardware/topology.hpp"
#include "plots/topology_drawing.hpp"

namespace moesim {

/// An SVG document as topology_svg makes it. Nodes show their parts up to 64 GPUs in all, else they are one box each;
/// of over 48 nodes only their number at each switch is shown. Torus and dragonfly routers stand in their grid and
/// groups.
std::string layered_svg(const Topology& topology, const LinkShading* shading);

}  // namespace moesim
