#pragma once
// How evenly tokens fall on experts and GPUs, layer by layer.

#include <vector>

#include "plots/chart.hpp"
#include "sim/metrics/summary.hpp"

namespace moesim {

/// What there is of these two:
///   experts   layer x expert: tokens of the run over the layer's mean expert. Not of a dense model.
///   gpu_load  layer x GPU: expert rows of the run over the layer's mean GPU, as placed and as the same loads would
///   fall
///             with experts in their order, without replicas. Not when every GPU has a slice of every expert, or is the
///             only one.
std::vector<Chart> load_charts(const Summary& summary);

}  // namespace moesim
