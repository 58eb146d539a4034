#include "plots/load_charts.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <optional>
#include <set>

#include <fmt/format.h>

namespace moesim {
namespace {

constexpr std::size_t kMostCells = 20'000;

struct Loads {
  std::vector<int> layers;                      ///< MoE layers of the model, in order
  int experts = 0;                              ///< of each
  std::vector<std::vector<double>> rows;        ///< [layers][experts]
  std::vector<std::vector<int>> gpus;           ///< [layers] GPUs that hold experts, in order
  std::vector<std::map<int, double>> gpu_rows;  ///< [layers] GPU -> rows
  bool sliced = false;                          ///< every GPU holds a slice of every expert
};

Loads loads_of(const Summary& summary) {
  Loads loads;
  std::map<int, std::size_t> index;
  for (const ExpertUse& use : summary.experts) {
    index.emplace(use.layer, 0);
    loads.experts = std::max(loads.experts, use.expert + 1);
    loads.sliced = loads.sliced || use.gpu < 0;
  }
  for (auto& [layer, at] : index) {
    at = loads.layers.size();
    loads.layers.push_back(layer);
  }
  loads.rows.assign(index.size(), std::vector<double>(static_cast<std::size_t>(loads.experts)));
  loads.gpu_rows.resize(index.size());
  for (const ExpertUse& use : summary.experts) {
    const std::size_t layer = index[use.layer];
    loads.rows[layer][static_cast<std::size_t>(use.expert)] += static_cast<double>(use.tokens);
    loads.gpu_rows[layer][use.gpu] += static_cast<double>(use.tokens);
  }
  return loads;
}

/// Each value over the mean of all; nothing where all are zero.
std::vector<ChartValue> over_mean(const std::vector<double>& values) {
  const double sum = std::accumulate(values.begin(), values.end(), 0.0);
  std::vector<ChartValue> ratios;
  for (const double value : values)
    ratios.push_back(sum > 0 ? ChartValue{value * static_cast<double>(values.size()) / sum} : ChartValue{});
  return ratios;
}

/// Of a heatmap with this many columns every n-th row is shown.
std::size_t row_step(std::size_t rows, std::size_t columns) {
  return std::max<std::size_t>(1, (rows * columns + kMostCells - 1) / kMostCells);
}

std::string step_note(std::size_t step, const char* file) {
  if (step == 1) return "";
  return fmt::format("shows every {}{} of the MoE layers; all are in {}", step,
                     step == 2   ? "nd"
                     : step == 3 ? "rd"
                                 : "th",
                     file);
}

/// Rows of each GPU of a layer if expert e were on GPU e * GPUs / experts.
std::vector<double> in_order(const std::vector<double>& experts, std::size_t gpus) {
  std::vector<double> rows(gpus);
  for (std::size_t e = 0; e < experts.size(); ++e) rows[e * gpus / experts.size()] += experts[e];
  return rows;
}

double largest_over_mean(const std::vector<ChartValue>& values) {
  double largest = 0;
  for (const ChartValue& value : values) largest = std::max(largest, value.value_or(0));
  return largest;
}

std::optional<Chart> expert_load_chart(const Loads& loads) {
  if (loads.experts < 2) return std::nullopt;
  HeatmapChart map{.unit = "x the layer's mean",
                   .row_label = "layer",
                   .column_label = "expert",
                   .rows = {},
                   .columns = {},
                   .views = {{"load", {}}},
                   .sortable = true};
  for (int e = 0; e < loads.experts; ++e) map.columns.push_back(std::to_string(e));
  const std::size_t step = row_step(loads.layers.size(), map.columns.size());
  for (std::size_t l = 0; l < loads.layers.size(); l += step) {
    map.rows.push_back(std::to_string(loads.layers[l]));
    const auto ratios = over_mean(loads.rows[l]);
    map.views[0].values.insert(map.views[0].values.end(), ratios.begin(), ratios.end());
  }
  return Chart{"experts", "Load of experts", "Tokens that each expert of a layer got over the run, replicas together.",
               step_note(step, "experts.csv"), std::move(map)};
}

std::optional<Chart> gpu_load_chart(const Loads& loads, const std::vector<GpuUse>& names) {
  std::set<int> holders;
  for (const auto& layer : loads.gpu_rows)
    for (const auto& [gpu, rows] : layer) holders.insert(gpu);
  if (loads.sliced || holders.size() < 2) return std::nullopt;
  HeatmapChart map{.unit = "x the layer's mean",
                   .row_label = "layer",
                   .column_label = "GPU",
                   .rows = {},
                   .columns = {},
                   .views = {{"as placed", {}}, {"experts in order", {}}},
                   .sortable = true};
  for (const int gpu : holders) map.columns.push_back(names[static_cast<std::size_t>(gpu)].name);
  const std::size_t step = row_step(loads.layers.size(), map.columns.size());
  double placed_sum = 0, ordered_sum = 0;
  for (std::size_t l = 0; l < loads.layers.size(); ++l) {
    std::vector<double> rows;
    for (const auto& [gpu, held] : loads.gpu_rows[l]) rows.push_back(held);
    const auto placed = over_mean(rows), ordered = over_mean(in_order(loads.rows[l], rows.size()));
    placed_sum += largest_over_mean(placed);
    ordered_sum += largest_over_mean(ordered);
    if (l % step != 0) continue;
    map.rows.push_back(std::to_string(loads.layers[l]));
    std::size_t next = 0;  // GPUs of other stages hold nothing of this layer
    for (const int gpu : holders) {
      const bool holds = loads.gpu_rows[l].contains(gpu);
      map.views[0].values.push_back(holds ? placed[next] : ChartValue{});
      map.views[1].values.push_back(holds ? ordered[next] : ChartValue{});
      next += holds ? 1 : 0;
    }
  }
  const double layers = static_cast<double>(loads.layers.size());
  return Chart{"gpu_load", "Load of GPUs by their experts",
               fmt::format("Expert rows of each GPU, summed over the run (single steps are less even: GPU load in the "
                           "summary). Max/mean, mean over layers: {:.2f} as placed; {:.2f} if the "
                           "same loads fell on experts in their order, without replicas.",
                           placed_sum / layers, ordered_sum / layers),
               step_note(step, "experts.csv"), std::move(map)};
}

}  // namespace

std::vector<Chart> load_charts(const Summary& summary) {
  const Loads loads = loads_of(summary);
  std::vector<Chart> charts;
  if (auto chart = expert_load_chart(loads)) charts.push_back(std::move(*chart));
  if (auto chart = gpu_load_chart(loads, summary.gpu_table)) charts.push_back(std::move(*chart));
  return charts;
}

}  // namespace moesim
