#include "plots/report_run.hpp"

#include <algorithm>

namespace moesim {

const ReportRun& first_run(const std::vector<ReportRun>& runs) {
  const auto marked = std::find_if(runs.begin(), runs.end(), [](const ReportRun& run) { return run.is_first; });
  return marked == runs.end() ? runs.front() : *marked;
}

bool counts_output(const std::vector<ReportRun>& runs) {
  return std::any_of(runs.begin(), runs.end(),
                     [](const ReportRun& run) { return run.summary && run.summary->output_tokens_per_s; });
}

const ReportRun* best_run(const std::vector<ReportRun>& runs) {
  const ReportRun* best = nullptr;
  for (const ReportRun& run : runs)
    if (run.summary && (best == nullptr || rate_per_gpu(*run.summary) > rate_per_gpu(*best->summary))) best = &run;
  return best;
}

}  // namespace moesim
