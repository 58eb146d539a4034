#pragma once
// Measured tables that are hard to believe.

#include <string>
#include <vector>

#include "models/kernels/published/kernel_model.hpp"

namespace moesim {

/// A line for each engine and operation with tables that take twice as long over the GPU's ceiling as the median table
/// of that operation does, in the median of what is long: kernels that the engine itself would hardly choose, or a
/// collector that called them as the engine does not. Experts, collectives and weights below 8 bits, whose peaks are
/// not in the catalogue, are not looked at. `gpu` is the model's.
std::vector<std::string> doubts(const KernelModel& model, const Gpu& gpu);

}  // namespace moesim
