#include "plots/joint_charts.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "sim/metrics/summary_json.hpp"

namespace moesim {
namespace {

using Cell = TableChart::Cell;
using Better = TableChart::Better;
constexpr double kGiB = 1073741824.0;

Cell text(const std::string& value) {
  return value.empty() ? Cell{} : Cell{value};
}

std::string bound_by(const Summary& summary) {
  const auto largest = std::max_element(summary.critical_path.begin(), summary.critical_path.end());
  return fmt::format("{} {:.0f} %", words_of(static_cast<Cause>(largest - summary.critical_path.begin())),
                     100 * *largest);
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

std::vector<TableChart::Column> columns_of(const std::vector<ReportRun>& runs) {
  std::vector<TableChart::Column> columns{{"run", "", {}}};
  for (const auto& [key, value] : runs.front().varied) columns.push_back({key, "", {}});
  const std::string rate = counts_output(runs) ? "output tokens/s per GPU" : "input tokens/s per GPU";
  columns.insert(columns.end(), {{"status", "", {}},
                                 {"GPUs", "", {}},
                                 {"layout", "", {}},
                                 {"throughput", rate, Better::high},
                                 {"to first", "x", Better::high},
                                 {"to best", "x", Better::high},
                                 {"step", "ms, mean", Better::low},
                                 {"step p99", "ms", Better::low},
                                 {"memory", "GiB a GPU", Better::low},
                                 {"expert load", "max/mean", Better::low},
                                 {"GPU load", "max/mean", Better::low},
                                 {"uneven load costs", "% of the step", Better::low},
                                 {"bound by", "", {}},
                                 {"SLO", "", {}},
                                 {"cost", "USD per million output tokens", Better::low},
                                 {"kernel times", "", {}},
                                 {"why not", "", {}}});
  return columns;
}

std::vector<Cell> row_of(const ReportRun& run, std::optional<double> first, std::optional<double> best) {
  std::vector<Cell> cells{run.label};
  for (const auto& [key, value] : run.varied) cells.emplace_back(value);
  cells.insert(cells.end(), {run.status, text(run.arithmetic), text(run.layout)});
  const Cell memory = run.memory ? Cell{run.memory->value() / kGiB} : Cell{};
  if (!run.summary) {
    cells.resize(cells.size() + 5);
    cells.push_back(memory);
    cells.resize(cells.size() + 7);
    cells.push_back(text(run.reason));
    return cells;
  }
  const Summary& of = *run.summary;
  const double rate = rate_per_gpu(of);
  const auto ratio = [&](std::optional<double> base) { return base && *base > 0 ? Cell{rate / *base} : Cell{}; };
  cells.insert(cells.end(),
               {rate, ratio(first), ratio(best), of.step.mean.value() * 1e3, of.step.p99.value() * 1e3, memory,
                of.expert_imbalance.mean, of.gpu_imbalance.mean, 100 * of.imbalance_cost.total(), bound_by(of),
                text(verdicts(of)), of.usd_per_million_output_tokens ? Cell{*of.usd_per_million_output_tokens} : Cell{},
                of.kernel_source, Cell{}});
  return cells;
}

Chart comparison(const std::vector<ReportRun>& runs) {
  const auto rate = [](const ReportRun* run) {
    return run != nullptr && run->summary ? std::optional{rate_per_gpu(*run->summary)} : std::nullopt;
  };
  const auto first = rate(&runs.front()), best = rate(best_run(runs));
  TableChart table{columns_of(runs), {}};
  for (const ReportRun& run : runs) table.rows.push_back(row_of(run, first, best));
  return {"comparison", "Comparison", "One row a run, in the order they were given. Click a heading to sort.", "",
          std::move(table)};
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
  return ChartLimit{"usable", limit->value() / kGiB};
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
      bars.series[g].values.push_back(
          run.summary ? ChartValue{bytes_of(run.summary->memory, kGroups.at(g)).value() / kGiB} : ChartValue{});
    misfits.values.push_back(run.summary ? ChartValue{} : ChartValue{run.memory->value() / kGiB});
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
