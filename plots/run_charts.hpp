#pragma once
// The charts of one run.

#include <vector>

#include "plots/chart.hpp"
#include "sim/metrics/summary.hpp"

namespace moesim {

/// In the order of a report: hotspots, load of experts (layer x expert) and of GPUs (layer x GPU, as placed and with
/// experts in their order), work and waiting of each GPU, links, bytes per tier, memory line by line. Charts without
/// content (a dense model's experts, links of one GPU) are left out. `drawing` is the topology's SVG, empty: none.
///
/// Heatmaps of more than 20,000 cells show every n-th layer and say so.
std::vector<Chart> run_charts(const Summary& summary, const std::string& drawing);

}  // namespace moesim
