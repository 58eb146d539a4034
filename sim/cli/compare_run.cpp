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
#include "sim/metrics/summary_json.hpp"
#include "sim/simulate.hpp"

namespace moesim {
namespace fs = std::filesystem;
namespace {

using Json = nlohmann::json;

std::string arithmetic(int used, const ClusterSpec& cluster) {
  const int gpus = cluster.gpus();
  return fmt::format("{}{} = {} node{} x {}", used == gpus ? "" : fmt::format("{} of ", used), gpus, cluster.nodes,
                     cluster.nodes == 1 ? "" : "s", cluster.gpus_per_node);
}

void describe_run(const Scenario& scenario, ComparedRun& run) {
  const Layout layout =
      make_layout(scenario.layout, scenario.model, scenario.cluster.gpus(), scenario.communication.all_to_all);
  run.model = scenario.model.name;
  run.gpu = scenario.cluster.gpu.name;
  run.layout = describe(layout);
  run.hash = scenario_hash(scenario);
  run.gpus = layout.gpus();
  run.nodes = scenario.cluster.nodes;
  run.arithmetic = arithmetic(run.gpus, scenario.cluster);
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
    throw InputError{
        "compare",
        fmt::format("prefill ({}) beside decode ({})", name_of(*of(Phase::prefill)), name_of(*of(Phase::decode))),
        "one workload.phase: tokens of a prompt and of an answer are different units"};
}

// What a worker tells of its run, as JSON text: {status, reason, remedies, memory, summary}.

std::string answer_of_done(const Summary& summary) {
  const Json whole = Json::parse(summary_json(summary));
  return Json{{"status", RunStatus::done}, {"memory", whole["memory"]}, {"summary", whole}}.dump();
}

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
      write_results(folder / run.folder, scenario, summary, Seconds{took.count()});
      return answer_of_done(summary);
    } catch (const Infeasible& error) {
      return answer_of_infeasible(scenario, error);
    }
  } catch (const InputError& error) {
    return answer_of_refused(RunStatus::invalid, error.what());
  }
}

std::vector<Summary::SloVerdict> slo_of(const Json& list) {
  std::vector<Summary::SloVerdict> verdicts;
  for (const Json& item : list) {
    const auto seconds = [&](const char* key) { return Seconds{item[key].get<double>() * 1e-3}; };
    std::optional<Seconds> reached;
    if (!item["reached_ms"].is_null()) reached = seconds("reached_ms");
    verdicts.push_back({item["name"], seconds("limit_ms"), reached, item["met"] == true});
  }
  return verdicts;
}

RunFigures figures_of(const Json& summary, Phase phase) {
  RunFigures figures;
  figures.step = Seconds{summary["step"]["mean_ms"].get<double>() * 1e-3};
  figures.step_p99 = Seconds{summary["step"]["p99_ms"].get<double>() * 1e-3};
  figures.tokens_per_s =
      summary["throughput"][phase == Phase::decode ? "output_tokens_per_s" : "input_tokens_per_s"].get<double>();
  figures.tokens_per_s_per_gpu = figures.tokens_per_s / summary["gpus"].get<int>();
  figures.expert_load = summary["imbalance"]["expert"]["mean"];
  figures.gpu_load = summary["imbalance"]["gpu"]["mean"];
  for (int cause = 0; cause < kCauses; ++cause) {  // the first of equals, in the order of the causes
    const std::string name{name_of(static_cast<Cause>(cause))};
    const double share = summary["critical_path"][name];
    if (!figures.bound_by.empty() && share <= figures.bound_share) continue;
    figures.bound_by = name;
    figures.bound_share = share;
  }
  figures.slo = slo_of(summary["slo"]);
  figures.kernel_source = summary["provenance"]["kernel_source"];
  return figures;
}

void read_answer(const WorkerResult& result, Phase phase, ComparedRun& run) {
  if (!result.failure.empty()) {
    run.status = RunStatus::failed;
    run.reason = result.failure;
    return;
  }
  const Json answer = Json::parse(result.answer);
  run.status = answer["status"].get<RunStatus>();
  run.reason = answer.value("reason", "");
  run.remedies = answer.value("remedies", std::vector<std::string>{});
  if (answer.contains("memory")) {
    run.memory = Bytes{answer["memory"]["per_gpu_max_bytes"].get<double>()};
    run.memory_limit = Bytes{answer["memory"]["capacity_bytes"].get<double>()};
  }
  if (run.status == RunStatus::done) run.figures = figures_of(answer["summary"], phase);
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
  constexpr std::array<std::string_view, 4> kNames{"done", "infeasible", "invalid", "failed"};
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
      run.reason = error.what();
      if (!refused) refused = error;
    }
    comparison.runs.push_back(std::move(run));
  }
  check_phases(first);
  if (first[0] == nullptr && first[1] == nullptr) throw InputError{*refused};
  comparison.differing = differences.keys();
  return comparison;
}

void simulate_runs(Comparison& comparison, const fs::path& folder, int jobs,
                   const std::function<void(std::size_t, std::size_t)>& progress) {
  std::vector<ComparedRun*> valid;
  for (ComparedRun& run : comparison.runs) {
    std::error_code none;
    fs::remove(folder / run.plan.folder / "summary.json", none);  // an older run's is no result of this one
    if (run.status != RunStatus::invalid) valid.push_back(&run);
  }
  const auto work = [&](std::size_t i) { return simulate_run(comparison.plan, valid[i]->plan, folder); };
  const std::vector<WorkerResult> results =
      run_workers(valid.size(), jobs, work, [&](std::size_t done) { progress(done, valid.size()); });
  for (std::size_t i = 0; i < valid.size(); ++i) read_answer(results[i], comparison.phase, *valid[i]);
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
