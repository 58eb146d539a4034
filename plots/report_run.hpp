#pragma once
// A run as a report shows it: its results, or why it has none.

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sim/metrics/summary.hpp"

namespace moesim {

struct ReportRun {
  std::string label;                  ///< what tells it from the others: "ep 8 · eplb"
  std::string folder;                 ///< from the folder of the report, for commands; empty: the report's own
  std::string command;                ///< that simulates it again, of a run that is done
  bool is_first = false;              ///< of a comparison as it was asked for, wherever sorting has put it
  std::string status = "done";        ///< done, infeasible, invalid, failed, unfinished
  std::string reason;                 ///< why it is not done
  std::vector<std::string> remedies;  ///< of an infeasible one
  std::string model, gpu;             ///< names
  std::string layout, arithmetic;     ///< "attention tp1 x dp32 ...", "32 = 4 nodes x 8"
  std::vector<std::pair<std::string, std::string>> varied;  ///< key and value
  std::optional<Bytes> memory, memory_limit;                ///< of the fullest GPU
  std::optional<Summary> summary;                           ///< of a run that is done
  std::string drawing;                                      ///< SVG of its topology, empty: none
};

/// The run that ratios "to the first" refer to: the marked one, else that at the front.
const ReportRun& first_run(const std::vector<ReportRun>& runs);

/// What the throughput of these runs counts: output tokens, or input tokens where no run yields any.
bool counts_output(const std::vector<ReportRun>& runs);

/// The done run with the highest rate per GPU, nullptr for none.
const ReportRun* best_run(const std::vector<ReportRun>& runs);

}  // namespace moesim
