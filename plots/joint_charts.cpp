#include "plots/joint_charts.hpp"

#include <algorithm>
#include <array>
#include <functional>

#include <fmt/format.h>

#include "sim/metrics/summary_json.hpp"

namespace moesim {
namespace {

using Cell = TableChart::Cell;
using Better = TableChart::Better;

Cell text(const std::string& value) {
  return value.empty() ? Cell{} : Cell{value};
}

std::string bound_words(const Summary& summary) {
  const CauseShare bound = bound_by(summary);
  return fmt::format("{} {:.0f} %", words_of(bound.cause), 100 * bound.share);
}

Cell mean_of(const std::optional<MeanMax>& imbalance) {
  return imbalance ? Cell{imbalance->mean} : Cell{};
}

std::string verdicts(const Summary& summary) {
  std::string all;
  for (const auto& verdict : summary.slo)
    all += fmt::format("{}{} {}", all.empty() ? "" : ", ", verdict.name,
                       !verdict.reached ? "not judged"
                       : verdict.met    ? "ok"
                                        : "missed");
  return all;
}

/// A column of the comparison, and its cell in the row of a run.
struct ComparedColumn {
  TableChart::Column column;
  std::function<Cell(const ReportRun&)> of;
  bool always = true;  ///< else only where it tells runs apart
};

/// A column of runs that are done.
std::function<Cell(const ReportRun&)> result(std::function<Cell(const Summary&)> of) {
  return [of](const ReportRun& run) { return run.summary ? of(*run.summary) : Cell{}; };
}

std::function<Cell(const ReportRun&)> ratio_to(std::optional<double> base) {
  return result([base](const Summary& of) { return base && *base > 0 ? Cell{rate_per_gpu(of) / *base} : Cell{}; });
}

std::optional<double> rate_of(const ReportRun* run) {
  return run != nullptr && run->summary ? std::optional{rate_per_gpu(*run->summary)} : std::nullopt;
}

/// Why a run is not done stands in view beside its name, not behind the figures that it does not have.
std::string status_words(const ReportRun& run) {
  return run.reason.empty() ? run.status : run.status + ": " + run.reason;
}

/// What planners look for first comes first.
std::vector<ComparedColumn> compared_columns(const std::vector<ReportRun>& runs) {
  const char* rate = counts_output(runs) ? "output tok/s a GPU" : "input tok/s a GPU";
  std::vector<ComparedColumn> columns{
      {{"run", "", {}}, [](const ReportRun& run) { return text(run.label); }},
      {{"status", "", {}}, [](const ReportRun& run) { return text(status_words(run)); }, false},
      {{"model", "", {}}, [](const ReportRun& run) { return text(run.model); }, false},
      {{"GPU", "", {}}, [](const ReportRun& run) { return text(run.gpu); }, false},
      {{"throughput", rate, Better::high}, result([](const Summary& of) { return rate_per_gpu(of); })},
      {{"to first", "x", Better::high}, ratio_to(rate_of(&first_run(runs)))},
      {{"to best", "x", Better::high}, ratio_to(rate_of(best_run(runs)))},
      {{"step", "ms", Better::low}, result([](const Summary& of) { return of.step.mean.value() * 1e3; })},
      {{"SLO", "", {}}, result([](const Summary& of) { return text(verdicts(of)); }), false},
      {{"memory", "GiB", {}}, [](const ReportRun& run) { return run.memory ? Cell{gibibytes(*run.memory)} : Cell{}; }},
      {{"GPU load", "max/mean", Better::low}, result([](const Summary& of) { return mean_of(of.gpu_imbalance); })},
      {{"bound by", "", {}}, result([](const Summary& of) { return text(bound_words(of)); })},
      {{"uneven load costs", "% of step", Better::low},
       result([](const Summary& of) { return 100 * of.imbalance_cost.total(); })},
      {{"expert load", "max/mean", Better::low},
       result([](const Summary& of) { return mean_of(of.expert_imbalance); }),
       false},
      {{"step p99", "ms", Better::low}, result([](const Summary& of) { return of.step.p99.value() * 1e3; })},
      {{"cost", "USD per million output tokens", Better::low},
       result([](const Summary& of) {
         return of.usd_per_million_output_tokens ? Cell{*of.usd_per_million_output_tokens} : Cell{};
       }),
       false}};
  for (std::size_t v = 0; v < runs.front().varied.size(); ++v)
    columns.push_back(
        {{runs.front().varied[v].first, "", {}},
         [v](const ReportRun& run) { return v < run.varied.size() ? text(run.varied[v].second) : Cell{}; },
         false});
  columns.push_back({{"GPUs", "", {}}, [](const ReportRun& run) { return text(run.arithmetic); }, false});
  columns.push_back({{"layout", "", {}}, [](const ReportRun& run) { return text(run.layout); }, false});
  columns.push_back({{"kernel times", "", {}},
                     result([](const Summary& of) {
                       return text(of.uncertainty
                                       ? fmt::format("{} ± {:.0f} %", of.kernel_source, 100 * of.uncertainty->sigma)
                                       : of.kernel_source);
                     }),
                     false});
  return columns;
}

/// What all runs that have it have in common; nothing when they differ.
std::optional<Cell> common_cell(const ComparedColumn& column, const std::vector<ReportRun>& runs) {
  std::optional<Cell> common;
  for (const ReportRun& run : runs) {
    const Cell cell = column.of(run);
    if (std::holds_alternative<std::monostate>(cell)) continue;
    if (common && *common != cell) return std::nullopt;
    common = cell;
  }
  return common ? common : Cell{};
}

std::string caption_of(const std::vector<ReportRun>& runs) {
  const auto differs = [&](const ReportRun& run) { return !run.model.empty() && run.model != runs.front().model; };
  const bool models = !runs.front().model.empty() && std::any_of(runs.begin(), runs.end(), differs);
  return std::string{"One row a run. Click a heading to sort."} +
         (models ? " The runs are of different models: a token of one is not the work of a token of another." : "");
}

Chart comparison(const std::vector<ReportRun>& runs) {
  TableChart table;
  table.rows.resize(runs.size());
  std::string same;
  for (const ComparedColumn& column : compared_columns(runs)) {
    const auto common = column.always ? std::nullopt : common_cell(column, runs);
    if (common) {
      if (const auto* what = std::get_if<std::string>(&*common); what != nullptr && *what != "done")
        same += fmt::format("{}{}: {}", same.empty() ? "the same in all: " : "; ", column.column.name, *what);
      continue;
    }
    table.columns.push_back(column.column);
    for (std::size_t r = 0; r < runs.size(); ++r) table.rows[r].push_back(column.of(runs[r]));
  }
  return {"comparison", "Comparison", caption_of(runs), same, std::move(table)};
}

void mark_front(std::vector<ParetoChart::Point>& points) {
  for (auto& point : points)
    point.on_front = std::none_of(points.begin(), points.end(), [&](const auto& other) {
      return other.x <= point.x && other.y >= point.y && (other.x < point.x || other.y > point.y);
    });
}

/// The limit on TPOT, when all runs have the same.
std::optional<ChartLimit> common_limit(const std::vector<ReportRun>& runs) {
  std::optional<Seconds> limit;
  for (const ReportRun& run : runs) {
    if (!run.summary) continue;
    const auto& slo = run.summary->slo;
    const auto tpot = std::find_if(slo.begin(), slo.end(), [](const auto& item) { return item.name == "tpot"; });
    if (tpot == slo.end() || (limit && *limit != tpot->limit)) return std::nullopt;
    limit = tpot->limit;
  }
  if (!limit) return std::nullopt;
  return ChartLimit{"TPOT limit", limit->value() * 1e3};
}

Chart pareto(const std::vector<ReportRun>& runs) {
  const bool output = counts_output(runs);
  ParetoChart chart;
  chart.x = output ? ChartAxis{"time per output token, p99", "ms"} : ChartAxis{"time of a step, p99", "ms"};
  chart.y = {output ? "output throughput per GPU" : "input throughput per GPU", "tokens/s"};
  for (const ReportRun& run : runs)
    if (run.summary)
      chart.points.push_back({run.label, run.summary->step.p99.value() * 1e3, rate_per_gpu(*run.summary), false});
  mark_front(chart.points);
  if (output) chart.limit = common_limit(runs);
  return {"pareto", "Throughput against latency",
          "Up and left is better. The line joins the runs that no other run beats in both.", "", std::move(chart)};
}

Chart critical_path(const std::vector<ReportRun>& runs) {
  StackedChart bars{.unit = "ms a step", .categories = {}, .series = {}, .limit = {}};
  for (const ReportRun& run : runs)
    if (run.summary) bars.categories.push_back(run.label);
  for (std::size_t cause = 0; cause < kCauses; ++cause) {
    ChartSeries series{words_of(static_cast<Cause>(cause)), {}};
    double sum = 0;
    for (const ReportRun& run : runs) {
      if (!run.summary) continue;
      series.values.emplace_back(run.summary->critical_path[cause] * run.summary->step.mean.value() * 1e3);
      sum += *series.values.back();
    }
    if (sum > 0) bars.series.push_back(std::move(series));
  }
  return {"critical_path", "Where the step goes",
          "Time on the critical path by cause: what hides behind something slower does not count.", "",
          std::move(bars)};
}

std::optional<ChartLimit> common_capacity(const std::vector<ReportRun>& runs) {
  std::optional<Bytes> limit;
  for (const ReportRun& run : runs) {
    if (!run.memory_limit) continue;
    if (limit && *limit != *run.memory_limit) return std::nullopt;
    limit = run.memory_limit;
  }
  if (!limit) return std::nullopt;
  return ChartLimit{"usable", gibibytes(*limit)};
}

Bytes bytes_of(const MemoryFit& fit, std::string_view group) {
  Bytes bytes{};
  for (const MemoryLine& line : fit.lines)
    if (line.group == group) bytes += line.bytes;
  return bytes;
}

Chart memory(const std::vector<ReportRun>& runs) {
  StackedChart bars{.unit = "GiB", .categories = {}, .series = {}, .limit = common_capacity(runs)};
  constexpr std::array kGroups{"weights", "kv", "activations", "buffers", "other"};
  constexpr std::array kNames{"weights", "KV cache", "activations", "buffers", "other"};
  for (const char* name : kNames) bars.series.push_back({name, {}});
  ChartSeries misfits{"does not fit", {}};
  bool any_misfit = false;
  for (const ReportRun& run : runs) {
    if (!run.memory) continue;
    bars.categories.push_back(run.label);
    for (std::size_t g = 0; g < kGroups.size(); ++g)
      bars.series[g].values.push_back(run.summary ? ChartValue{gibibytes(bytes_of(run.summary->memory, kGroups.at(g)))}
                                                  : ChartValue{});
    misfits.values.push_back(run.summary ? ChartValue{} : ChartValue{gibibytes(*run.memory)});
    any_misfit = any_misfit || !run.summary;
  }
  if (any_misfit) bars.series.push_back(std::move(misfits));
  return {"memory", "Memory of the fullest GPU", "", bars.limit ? "" : "the usable memory is not the same in all runs",
          std::move(bars)};
}

}  // namespace

std::vector<Chart> joint_charts(const std::vector<ReportRun>& runs) {
  std::vector<Chart> charts;
  if (runs.size() > 1) charts.push_back(comparison(runs));
  if (best_run(runs) != nullptr) {
    if (runs.size() > 1) charts.push_back(pareto(runs));
    charts.push_back(critical_path(runs));
  }
  charts.push_back(memory(runs));
  return charts;
}

}  // namespace moesim
