#pragma once
// Measured tables that are hard to believe.

#include <string>
#include <vector>

#include "models/kernels/published/kernel_model.hpp"

namespace moesim {

/// A line for each engine and operation of which more than a quarter of the longer times are shorter than the GPU's
/// peak allows for their FLOPs (they were not measured on what their labels say), and for each whose tables take twice
/// as long over the GPU's ceiling as the median table of that operation does, in the median of what is long: a kernel
/// that the engine itself would hardly use. Experts and collectives are not looked at. `gpu` is the model's.
std::vector<std::string> doubts(const KernelModel& model, const Gpu& gpu);

}  // namespace moesim
