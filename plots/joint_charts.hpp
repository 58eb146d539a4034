#pragma once
// The charts that show runs beside each other.

#include <vector>

#include "plots/chart.hpp"
#include "plots/report_run.hpp"

namespace moesim {

/// Comparison table and Pareto front (of two runs or more), critical path, memory. Runs that are not done stay in the
/// table with their reason.
std::vector<Chart> joint_charts(const std::vector<ReportRun>& runs);

}  // namespace moesim
