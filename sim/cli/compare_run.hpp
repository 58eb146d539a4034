#pragma once
// The runs of a comparison and what came of each.

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "sim/cli/compare_plan.hpp"
#include "sim/cli/compare_workers.hpp"
#include "sim/metrics/summary.hpp"

namespace moesim {

enum class RunStatus {
  done,
  infeasible,  ///< does not fit
  invalid,     ///< the scenario is refused
  failed,      ///< its process died, or the disk failed
  unfinished,  ///< not yet, or the comparison was interrupted
};
std::string_view name_of(RunStatus status);

/// What a finished run reached.
struct RunFigures {
  Seconds step, step_p99;
  double tokens_per_s = 0, tokens_per_s_per_gpu = 0;  ///< output tokens of decode, input tokens of prefill
  std::optional<double> expert_load, gpu_load;        ///< max/mean, mean over layers and steps; none: dense
  CauseShare bound;                                   ///< largest cause on the critical path
  std::vector<Summary::SloVerdict> slo;
  std::string kernel_source;
  std::optional<Uncertainty> uncertainty;   ///< that kernel times bring
  std::vector<std::string> warnings;        ///< of kernel times that nobody measured
  std::optional<double> to_first, to_best;  ///< ratios of tokens_per_s_per_gpu
};

struct ComparedRun {
  PlannedRun plan;
  RunStatus status = RunStatus::unfinished;
  std::string reason;  ///< why it is not done
  std::vector<std::string> remedies;
  // of a scenario that loads; empty and zero of one that does not
  std::string model, gpu, layout, hash;
  std::string arithmetic;  ///< "32 = 4 nodes x 8"
  int gpus = 0, nodes = 0;
  // of a run that was planned
  std::optional<Bytes> memory, memory_limit;  ///< of the fullest GPU
  std::optional<RunFigures> figures;          ///< of a run that is done
};

struct Comparison {
  ComparePlan plan;
  Phase phase = Phase::decode;
  std::vector<std::string> differing;  ///< scenario keys whose values are not the same in all runs, in schema order
  std::vector<ComparedRun> runs;       ///< in the order of the plan
};

/// Loads every scenario. Those that are refused are invalid runs, the others unfinished ones. Throws InputError when
/// all are refused, or when some decode and some prefill.
Comparison load_runs(const ComparePlan& plan);

/// Removes the summaries that older runs left in the subfolders of `folder`: they are no results of these.
void forget_results(const Comparison& comparison, const std::filesystem::path& folder);

/// Simulates all that is valid, each run in a process of its own with its results in its subfolder of `folder`.
void simulate_runs(Comparison& comparison, const std::filesystem::path& folder, int jobs, const Progress& progress);

/// The run with the most tokens per second and GPU; nullptr when none is done.
const ComparedRun* best_of(const Comparison& comparison);

}  // namespace moesim
