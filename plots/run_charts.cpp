#include "plots/run_charts.hpp"

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "plots/load_charts.hpp"
#include "sim/metrics/summary_json.hpp"

namespace moesim {
namespace {

constexpr std::size_t kMostLinks = 20;

TableChart::Cell text_cell(const std::string& text) {
  return text.empty() ? TableChart::Cell{} : TableChart::Cell{text};
}

Chart hotspots(const Summary& summary) {
  TableChart table;
  table.columns = {{"#", "", {}},
                   {"what", "", {}},
                   {"where", "", {}},
                   {"layer", "", {}},
                   {"costs", "% of the time", {}},
                   {"cause", "", {}},
                   {"remedy", "", {}},
                   {"gain", "ms a step", {}},
                   {"rerun with it", "", {}}};
  double rank = 0;
  for (const Hotspot& spot : summary.hotspots)
    table.rows.push_back({++rank, std::string{name_of(spot.kind)}, spot.id,
                          spot.layer ? TableChart::Cell{double(*spot.layer)} : TableChart::Cell{},
                          100 * spot.share_of_time, spot.reason, text_cell(spot.remedy),
                          spot.gain ? TableChart::Cell{1e3 * spot.gain->value()} : TableChart::Cell{},
                          text_cell(spot.gain_note)});
  return {"hotspots", "Hotspots",
          "What the others wait for. A cost is the time that perfect balance of this one alone would save; "
          "a gain is what a rerun with the remedy found (--remedies N).",
          summary.hotspots.empty() ? "nothing costs more than 0.1 % of the time" : "", std::move(table)};
}

Chart gpus(const Summary& summary) {
  StackedChart bars{.unit = "ms a step", .categories = {}, .series = {}, .limit = {}};
  const double per_step = 1e3 / static_cast<double>(std::max<std::size_t>(1, summary.steps.size()));
  for (const GpuUse& use : summary.gpu_table) bars.categories.push_back(use.name);
  for (std::size_t cause = 0; cause < kCauses; ++cause) {
    ChartSeries series{words_of(static_cast<Cause>(cause)), {}};
    bool any = false;
    for (const GpuUse& use : summary.gpu_table) {
      series.values.emplace_back(use.busy[cause].value() * per_step);
      any = any || use.busy[cause].value() > 0;
    }
    if (any) bars.series.push_back(std::move(series));
  }
  ChartSeries wait{"wait", {}};
  for (const GpuUse& use : summary.gpu_table) wait.values.emplace_back(use.wait.value() * per_step);
  bars.series.push_back(std::move(wait));
  return {"gpus", "What each GPU does", "Own work by cause, and waiting for slower GPUs or other stages.", "",
          std::move(bars)};
}

Chart top_links(const Summary& summary) {
  std::vector<const LinkUse*> order;
  for (const LinkUse& use : summary.links)
    if (use.bytes.value() > 0) order.push_back(&use);
  std::stable_sort(order.begin(), order.end(),
                   [](const LinkUse* a, const LinkUse* b) { return a->busy_share > b->busy_share; });
  std::string note;
  if (order.size() > kMostLinks) {
    note = fmt::format("the {} busiest of {} links with traffic; all are in links.csv", kMostLinks, order.size());
    order.resize(kMostLinks);
  }
  TableChart table;
  table.columns = {{"link", "", {}},
                   {"tier", "", {}},
                   {"carries", "GB a step", {}},
                   {"busy", "% of the time", {}},
                   {"peak", "% of one collective", {}}};
  const double per_step = 1e-9 / static_cast<double>(std::max<std::size_t>(1, summary.steps.size()));
  for (const LinkUse* use : order)
    table.rows.push_back(
        {use->name, use->tier, use->bytes.value() * per_step, 100 * use->busy_share, 100 * use->peak_share});
  return {"links", "Busiest links",
          "Busy: share of the run's time that the link would need at full rate. Peak: that share of the collective in "
          "which it is fullest.",
          note, std::move(table)};
}

Chart tiers(const Summary& summary) {
  std::map<std::string, double> bytes;
  std::vector<std::string> order;
  for (const LinkUse& use : summary.links) {
    const auto [at, is_new] = bytes.try_emplace(use.tier, 0.0);
    if (is_new) order.push_back(use.tier);
    at->second += use.bytes.value();
  }
  StackedChart bars{.unit = "GB a step", .categories = {}, .series = {{"bytes", {}}}, .limit = {}};
  const double per_step = 1e-9 / static_cast<double>(std::max<std::size_t>(1, summary.steps.size()));
  for (const std::string& tier : order) {
    bars.categories.push_back(tier);
    bars.series[0].values.emplace_back(bytes[tier] * per_step);
  }
  return {"tiers", "Bytes per tier",
          "Sum over the links of a tier, both directions: a byte counts on every link it passes.", "", std::move(bars)};
}

Chart memory_lines(const Summary& summary) {
  TableChart table;
  table.columns = {{"line", "", {}}, {"group", "", {}}, {"size", "GiB", {}}, {"arithmetic", "", {}}};
  for (const MemoryLine& line : summary.memory.lines)
    table.rows.push_back({line.name, line.group, gibibytes(line.bytes), line.formula});
  return {"memory_lines", "Memory of the fullest GPU, line by line",
          fmt::format("{:.1f} GiB needed of {:.1f} GiB usable", gibibytes(summary.memory.needed),
                      gibibytes(summary.memory.capacity)),
          "", std::move(table)};
}

}  // namespace

std::vector<Chart> run_charts(const Summary& summary, const std::string& drawing) {
  std::vector<Chart> charts{hotspots(summary)};
  for (Chart& chart : load_charts(summary)) charts.push_back(std::move(chart));
  charts.push_back(gpus(summary));
  const bool has_traffic =
      std::any_of(summary.links.begin(), summary.links.end(), [](const LinkUse& use) { return use.bytes.value() > 0; });
  if (has_traffic) {
    if (!drawing.empty())
      charts.push_back({"topology", "Where links are busy",
                        "The cluster with its links by share of the time that they are busy. What stands for several "
                        "links shows the busiest.",
                        "", DrawingChart{drawing}});
    charts.push_back(top_links(summary));
    charts.push_back(tiers(summary));
  }
  charts.push_back(memory_lines(summary));
  return charts;
}

}  // namespace moesim
