#pragma once
// Which expert, GPU or link the step waits for, and why.

#include <vector>

#include "sim/metrics/recorder.hpp"

namespace moesim {

/// Hotspots above 0.1 % of the time, worst first, at most ten. A share is the time beyond a system whose ranks (or
/// whose links of the tier) were equally loaded: what perfect balance of that cause would save.
std::vector<Hotspot> rank_hotspots(const Recorder& recorder);

}  // namespace moesim
