#include "sim/cli/compare_run.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "models/units/error.hpp"
#include "sim/cli/compare_workers.hpp"
#include "sim/cli/results.hpp"
#include "sim/cli/signals.hpp"
#include "sim/cli/usage.hpp"
#include "sim/metrics/kernel_remarks.hpp"
#include "sim/metrics/summary_json.hpp"
#include "sim/metrics/summary_reader.hpp"
#include "sim/simulate.hpp"

namespace moesim {
namespace fs = std::filesystem;
namespace {

using Json = nlohmann::json;

void describe_run(const Scenario& scenario, ComparedRun& run) {
  const Layout layout =
      make_layout(scenario.layout, scenario.model, scenario.cluster.gpus(), scenario.communication.all_to_all);
  run.model = scenario.model.name;
  run.gpu = scenario.cluster.gpu.name;
  run.layout = describe(layout);
  run.hash = scenario_hash(scenario);
  run.gpus = layout.gpus();
  run.nodes = scenario.cluster.nodes;
  const ClusterSpec& cluster = scenario.cluster;
  run.arithmetic = node_arithmetic(run.gpus, cluster.gpus(), cluster.nodes,
                                   has_equal_nodes(cluster) ? std::optional{cluster.gpus_per_node} : std::nullopt);
  run.reason = "the comparison was interrupted before, or still runs";
}

/// Which keys differ among the scenarios seen.
class Differences {
public:
  void see(const Scenario& scenario) {
    order_.clear();
    for (const ResolvedValue& item : scenario.resolved) {
      order_.push_back(item.path);
      const auto [first, is_new] = first_.emplace(item.path, item.identity);
      if (!is_new && first->second != item.identity) differing_.insert(item.path);
    }
  }
  std::vector<std::string> keys() const {
    std::vector<std::string> keys;
    for (const std::string& key : order_)
      if (differing_.contains(key) && key != "question") keys.push_back(key);
    return keys;
  }

private:
  std::vector<std::string> order_;
  std::map<std::string, std::string> first_;
  std::set<std::string> differing_;
};

/// The first run of each phase; two of them cannot be compared.
void check_phases(const std::array<const PlannedRun*, 2>& first) {
  const auto of = [&](Phase phase) { return first[static_cast<std::size_t>(phase)]; };
  if (of(Phase::decode) != nullptr && of(Phase::prefill) != nullptr)
    throw mixed_phases("compare", name_of(*of(Phase::prefill)), name_of(*of(Phase::decode)));
}

/// A value of --vary is no value of --set.
InputError in_words_of(const PlannedRun& run, const InputError& error) {
  std::string where = error.where();
  for (const auto& [key, value] : run.varied)
    if (where.starts_with("--set " + key + "=")) where.replace(0, std::string_view{"--set"}.size(), "--vary");
  if (dynamic_cast<const NotModelledYet*>(&error) != nullptr)
    return NotModelledYet{where, error.found(), error.expected()};
  return InputError{where, error.found(), error.expected(), error.hint()};
}

// What a worker tells of its run, as JSON text: {status, reason, remedies, memory}; the summary of one that is done is
// in its folder.

std::string answer_of_refused(RunStatus status, const std::string& reason) {
  return Json{{"status", status}, {"reason", reason}}.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string answer_of_infeasible(const Scenario& scenario, const Infeasible& error) {
  Json answer{{"status", RunStatus::infeasible}, {"reason", error.what()}, {"remedies", error.remedies()}};
  if (const MemoryVerdict memory = check_memory(scenario); memory.misfit)
    answer["memory"] = Json::parse(memory_json(memory.fit));
  return answer.dump();
}

/// The worker's work.
std::string simulate_run(const ComparePlan& plan, const PlannedRun& run, const fs::path& folder) {
  const auto start = std::chrono::steady_clock::now();
  try {
    const Scenario scenario = load_scenario(run.file, overrides_of(plan, run));
    try {
      const Summary summary = simulate(scenario);
      const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
      const HoldSignals until_whole;
      write_results(folder / run.folder, scenario, summary,
                    {run_command_text(run.file, overrides_of(plan, run)), Seconds{took.count()}});
      return Json{{"status", RunStatus::done}}.dump();
    } catch (const Infeasible& error) {
      return answer_of_infeasible(scenario, error);
    }
  } catch (const InputError& error) {
    return answer_of_refused(RunStatus::invalid, in_words_of(run, error).what());
  }
}

RunFigures figures_of(const Summary& summary) {
  const double rate = rate_per_gpu(summary);
  const auto mean = [](const std::optional<MeanMax>& of) { return of ? std::optional{of->mean} : std::nullopt; };
  return {.step = summary.step.mean,
          .step_p99 = summary.step.p99,
          .tokens_per_s = rate * summary.gpus,
          .tokens_per_s_per_gpu = rate,
          .expert_load = mean(summary.expert_imbalance),
          .gpu_load = mean(summary.gpu_imbalance),
          .bound = bound_by(summary),
          .slo = summary.slo,
          .kernel_source = summary.kernel_source,
          .uncertainty = summary.uncertainty,
          .warnings = kernel_remarks(summary.kernels),
          .to_first = {},
          .to_best = {}};
}

void fail(ComparedRun& run, const std::string& reason) {
  run.status = RunStatus::failed;
  run.reason = reason;
}

void read_results_of(const fs::path& folder, ComparedRun& run) {
  try {
    const Summary summary = read_summary(folder, MOESIM_VERSION);
    run.memory = summary.memory.needed;
    run.memory_limit = summary.memory.capacity;
    run.figures = figures_of(summary);
  } catch (const InputError& error) {
    fail(run, error.what());
  }
}

void read_answer(const WorkerResult& result, const fs::path& folder, ComparedRun& run) {
  if (!result.failure.empty()) return fail(run, result.failure);
  const Json answer = Json::parse(result.answer);
  run.status = answer["status"].get<RunStatus>();
  run.reason = answer.value("reason", "");
  run.remedies = answer.value("remedies", std::vector<std::string>{});
  if (answer.contains("memory")) {
    run.memory = Bytes{answer["memory"]["per_gpu_max_bytes"].get<double>()};
    run.memory_limit = Bytes{answer["memory"]["capacity_bytes"].get<double>()};
  }
  if (run.status == RunStatus::done) read_results_of(folder / run.plan.folder, run);
}

void add_ratios(Comparison& comparison) {
  const ComparedRun* best = best_of(comparison);
  if (best == nullptr) return;
  const double most = best->figures->tokens_per_s_per_gpu;
  const auto& first = comparison.runs.front().figures;
  const double base = first ? first->tokens_per_s_per_gpu : 0;
  for (ComparedRun& run : comparison.runs) {
    if (!run.figures) continue;
    if (base > 0) run.figures->to_first = run.figures->tokens_per_s_per_gpu / base;
    if (most > 0) run.figures->to_best = run.figures->tokens_per_s_per_gpu / most;
  }
}

}  // namespace

std::string_view name_of(RunStatus status) {
  constexpr std::array<std::string_view, 5> kNames{"done", "infeasible", "invalid", "failed", "unfinished"};
  return kNames.at(static_cast<std::size_t>(status));
}

Comparison load_runs(const ComparePlan& plan) {
  Comparison comparison{.plan = plan, .differing = {}, .runs = {}};
  std::array<const PlannedRun*, 2> first{};
  Differences differences;
  std::optional<InputError> refused;
  for (const PlannedRun& planned : plan.runs) {
    ComparedRun run;
    run.plan = planned;
    try {
      const Scenario scenario = load_scenario(planned.file, overrides_of(plan, planned));
      describe_run(scenario, run);
      differences.see(scenario);
      comparison.phase = scenario.workload.phase;
      const PlannedRun*& of_phase = first.at(static_cast<std::size_t>(scenario.workload.phase));
      if (of_phase == nullptr) of_phase = &planned;
    } catch (const InputError& error) {
      run.status = RunStatus::invalid;
      run.reason = in_words_of(planned, error).what();
      if (!refused) refused = in_words_of(planned, error);
    }
    comparison.runs.push_back(std::move(run));
  }
  check_phases(first);
  if (first[0] == nullptr && first[1] == nullptr) throw InputError{*refused};
  comparison.differing = differences.keys();
  return comparison;
}

void forget_results(const Comparison& comparison, const fs::path& folder) {
  std::error_code none;
  for (const ComparedRun& run : comparison.runs) fs::remove(folder / run.plan.folder / "summary.json", none);
}

void simulate_runs(Comparison& comparison, const fs::path& folder, int jobs, const Progress& progress) {
  std::vector<ComparedRun*> valid;
  for (ComparedRun& run : comparison.runs)
    if (run.status != RunStatus::invalid) valid.push_back(&run);
  const auto work = [&](std::size_t i) { return simulate_run(comparison.plan, valid[i]->plan, folder); };
  const std::vector<WorkerResult> results = run_workers(valid.size(), jobs, work, progress);
  for (std::size_t i = 0; i < valid.size(); ++i) read_answer(results[i], folder, *valid[i]);
  add_ratios(comparison);
}

const ComparedRun* best_of(const Comparison& comparison) {
  const ComparedRun* best = nullptr;
  for (const ComparedRun& run : comparison.runs)
    if (run.figures && (best == nullptr || run.figures->tokens_per_s_per_gpu > best->figures->tokens_per_s_per_gpu))
      best = &run;
  return best;
}

}  // namespace moesim
