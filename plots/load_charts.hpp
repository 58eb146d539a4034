#pragma once
// How evenly tokens fall on experts and GPUs, layer by layer.

#include <optional>

#include "plots/chart.hpp"
#include "sim/metrics/summary.hpp"

namespace moesim {

/// Layer x expert: tokens of the run over the layer's mean expert. Nothing for a dense model.
std::optional<Chart> expert_load_chart(const Summary& summary);

/// Layer x GPU: expert rows of the run over the layer's mean GPU, as placed and as the same loads would fall with
/// experts in their order, without replicas. Nothing when every GPU has a slice of every expert, or is the only one.
std::optional<Chart> gpu_load_chart(const Summary& summary);

}  // namespace moesim
