#include "models/routing/histogram.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "models/routing/layer_numbers.hpp"
#include "models/units/csv_reader.hpp"

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

constexpr double kMostCounts = 1e15;  // beyond, doubles no longer count one by one

/// Sums of one domain by the file's layer numbers.
using LayerCounts = std::map<int, std::vector<double>>;

void check_counts(const LayerCounts& counts, const RoutingSpec& spec, const MoeSpec& moe) {
  for (const auto& [layer, of_expert] : counts) {
    const double sum = std::accumulate(of_expert.begin(), of_expert.end(), 0.0);
    if (!(sum <= kMostCounts))
      throw InputError{spec.file, fmt::format("{} counts in layer {}", sum, layer),
                       fmt::format("at most {}", kMostCounts)};
    const auto chosen = std::count_if(of_expert.begin(), of_expert.end(), [](double n) { return n > 0; });
    if (chosen < moe.top_k)
      throw InputError{spec.file, fmt::format("layer {} with {} experts that were ever chosen", layer, chosen),
                       fmt::format("at least top_k = {}", moe.top_k)};
  }
}

class HistogramReader {
public:
  HistogramReader(const RoutingSpec& spec, const Architecture& model, std::string_view domain_column)
      : csv_{spec.file},
        spec_{spec},
        model_{model},
        layer_column_{csv_.require("layer")},
        expert_column_{csv_.require("expert")},
        count_column_{csv_.require("count")},
        domain_column_{domain_column.empty() ? -1 : csv_.require(domain_column)},
        persistence_column_{csv_.find("persistence")},
        filter_{csv_, spec} {}

  Histograms read() {
    while (csv_.next())
      if (filter_.passes()) read_row();
    if (counts_.empty()) throw filter_.nothing_left(spec_);
    if (last_expert_ + 1 < model_.moe->experts)
      throw InputError{spec_.file, fmt::format("experts 0 to {}", last_expert_),
                       fmt::format("counts of experts 0 to {}", model_.moe->experts - 1)};
    Histograms all;
    for (const auto& [domain, counts] : counts_) all.domains.push_back(finish(domain, counts));
    for (const auto& [layer, value] : persistence_) all.persistence.push_back(value);
    return all;
  }

private:
  void read_row() {
    const int layer = csv_.index(layer_column_, 0, model_.layers - 1, "layer");
    const int expert = csv_.index(expert_column_, 0, model_.moe->experts - 1, "expert");
    const std::string domain{domain_column_ < 0 ? std::string_view{} : csv_.field(domain_column_)};
    auto& of_expert = counts_[domain][layer];
    of_expert.resize(static_cast<std::size_t>(model_.moe->experts), 0.0);
    of_expert[static_cast<std::size_t>(expert)] += csv_.amount(count_column_, "count");
    last_expert_ = std::max(last_expert_, expert);
    if (persistence_column_ >= 0) read_persistence(layer);
  }

  void read_persistence(int layer) {
    const double value = csv_.amount(persistence_column_, "persistence");
    const auto [known, is_new] = persistence_.try_emplace(layer, value);
    if (value >= 1 || known->second != value)
      throw InputError{
          csv_.place(persistence_column_), fmt::format("persistence {}", value),
          value >= 1 ? "a number from 0 to below 1" : fmt::format("{} as above in layer {}", known->second, layer)};
  }

  Histograms::Domain finish(const std::string& domain, const LayerCounts& counts) const {
    std::set<int> found;
    for (const auto& [layer, of_expert] : counts) found.insert(layer);
    match_layers(found, model_, spec_.file, domain.empty() ? "rows" : fmt::format("rows of {}", domain));
    check_counts(counts, spec_, *model_.moe);
    Histograms::Domain of{domain, {}};
    for (const auto& [layer, of_expert] : counts) of.counts.insert(of.counts.end(), of_expert.begin(), of_expert.end());
    return of;
  }

  CsvReader csv_;
  const RoutingSpec& spec_;
  const Architecture& model_;
  int layer_column_, expert_column_, count_column_, domain_column_, persistence_column_;
  RowFilter filter_;
  std::map<std::string, LayerCounts> counts_;
  std::map<int, double> persistence_;
  int last_expert_ = -1;
};

}  // namespace

Histograms load_histograms(const RoutingSpec& spec, const Architecture& model, std::string_view domain_column) {
  return HistogramReader{spec, model, domain_column}.read();
}

std::vector<double> load_histogram(const RoutingSpec& spec, const Architecture& model) {
  return load_histograms(spec, model, {}).domains.front().counts;
}

}  // namespace moesim
