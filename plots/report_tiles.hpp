#pragma once
// The verdicts at the top of a report. Only for sources of this folder: it shows the JSON library.

#include <vector>

#include "plots/chart_json.hpp"
#include "plots/report_run.hpp"

namespace moesim {

/// Of one run: throughput, step, SLOs, memory, what uneven load costs, money. Of several: the best and what it gains.
Json report_tiles(const std::vector<ReportRun>& runs);

}  // namespace moesim
