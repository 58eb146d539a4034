#pragma once
// Maximum flow between sets of GPUs. Internal to hardware.

#include <span>

#include "models/hardware/topology.hpp"

namespace moesim {

/// Smallest total capacity of links whose removal cuts the first vertices from the second, in whole bytes per second
/// (exact to 1e-9 of any real link; push-relabel on doubles need not end).
BytesPerSecond maximum_flow(std::span<const Link> links, std::size_t vertices, std::span<const int> sources,
                            std::span<const int> sinks);

}  // namespace moesim
