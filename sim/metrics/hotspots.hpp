#pragma once
// Which expert, GPU or link the step waits for, and why.

#include <span>
#include <vector>

#include "sim/metrics/recorder.hpp"

namespace moesim {

/// Hotspots above 0.1 % of the time, worst first, at most ten. A share is the time beyond a system whose ranks (or
/// whose links of the tier) were equally loaded: what perfect balance of that cause would save. Each second is charged
/// once: a slow GPU with what its speed costs, an expert with the part that it alone has beyond a mean GPU, the GPU of
/// experts with the rest.
///
/// stage_work [stages] : of a step. `remedy` says what the saving would be; what to set is not known here.
std::vector<Hotspot> rank_hotspots(const Recorder& recorder, std::span<const Seconds> stage_work);

}  // namespace moesim
