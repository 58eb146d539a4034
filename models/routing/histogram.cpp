#include "models/routing/histogram.hpp"

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "models/units/csv_reader.hpp"
#include "models/routing/layer_numbers.hpp"

namespace moesim {

namespace {

/// Keeps the rows whose columns have the wanted values.
class RowFilter {
public:
  RowFilter(const CsvReader& csv, const RoutingSpec& spec) : csv_{csv}, seen_(spec.where.size()) {
    for (const auto& [column, value] : spec.where) {
      if (csv.find(column) < 0)
        throw InputError{"routing.where", fmt::format("column \"{}\"", column),
                         fmt::format("a column of {}: {}", csv.file(), fmt::join(csv.header(), ", ")),
                         nearest(column, csv.header())};
      wanted_.emplace_back(csv.find(column), value);
    }
  }

  bool passes() {
    bool all = true;
    for (std::size_t i = 0; i < wanted_.size(); ++i) {
      const auto value = csv_.field(wanted_[i].first);
      if (value == wanted_[i].second) continue;
      all = false;
      if (seen_[i].size() < kShownValues) seen_[i].emplace(value);
    }
    return all;
  }

  /// Why no row passed.
  InputError nothing_left(const RoutingSpec& spec) const {
    std::string asked, values;
    for (std::size_t i = 0; i < wanted_.size(); ++i) {
      asked += fmt::format("{}{} = {}", i ? ", " : "", spec.where[i].first, spec.where[i].second);
      values += fmt::format("{}{}: {}", i ? "; " : "", spec.where[i].first, fmt::join(seen_[i], ", "));
    }
    if (asked.empty()) return {csv_.file(), "no rows", "rows of layer, expert, count"};
    return {"routing.where", fmt::format("{} (no such row in {})", asked, csv_.file()), "values of " + values};
  }

private:
  static constexpr std::size_t kShownValues = 20;
  const CsvReader& csv_;
  std::vector<std::pair<int, std::string>> wanted_;
  std::vector<std::set<std::string>> seen_;
};

void check_counts(const std::map<int, std::vector<double>>& counts, const RoutingSpec& spec, const MoeSpec& moe,
                  int last_expert) {
  if (last_expert + 1 < moe.experts)
    throw InputError{spec.file, fmt::format("experts 0 to {}", last_expert),
                     fmt::format("counts of experts 0 to {}", moe.experts - 1)};
  for (const auto& [layer, of_expert] : counts) {
    const auto chosen = std::count_if(of_expert.begin(), of_expert.end(), [](double n) { return n > 0; });
    if (chosen < moe.top_k)
      throw InputError{spec.file, fmt::format("layer {} with {} experts that were ever chosen", layer, chosen),
                       fmt::format("at least top_k = {}", moe.top_k)};
  }
}

}  // namespace

std::vector<double> load_histogram(const RoutingSpec& spec, const Architecture& model) {
  const MoeSpec& moe = *model.moe;
  CsvReader csv{spec.file};
  const int layer_column = csv.require("layer"), expert_column = csv.require("expert"),
            count_column = csv.require("count");
  RowFilter filter{csv, spec};
  std::map<int, std::vector<double>> counts;  // by the file's layer numbers
  int last_expert = -1;
  while (csv.next()) {
    if (!filter.passes()) continue;
    const int layer = csv.index(layer_column, 0, model.layers - 1, "layer");
    const int expert = csv.index(expert_column, 0, moe.experts - 1, "expert");
    auto& of_expert = counts[layer];
    of_expert.resize(static_cast<std::size_t>(moe.experts), 0.0);
    of_expert[static_cast<std::size_t>(expert)] += csv.amount(count_column, "count");
    last_expert = std::max(last_expert, expert);
  }
  if (counts.empty()) throw filter.nothing_left(spec);
  std::set<int> found;
  for (const auto& [layer, of_expert] : counts) found.insert(layer);
  match_layers(found, model, spec.file, "rows");
  check_counts(counts, spec, moe, last_expert);
  std::vector<double> all;
  for (const auto& [layer, of_expert] : counts) all.insert(all.end(), of_expert.begin(), of_expert.end());
  return all;
}

}  // namespace moesim
