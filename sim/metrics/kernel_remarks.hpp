#pragma once
// Kernel times that nobody measured, in words.

#include <string>
#include <vector>

#include "sim/metrics/summary.hpp"

namespace moesim {

/// A sentence for every class of ops with a twentieth or more of the kernel time that lies beyond the measured tables,
/// or that the roofline times as the profile has none.
std::vector<std::string> kernel_remarks(const std::vector<KernelUse>& uses);

}  // namespace moesim
