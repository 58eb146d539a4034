#include "models/routing/route_files.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "models/units/csv_reader.hpp"

namespace moesim {

namespace {

constexpr double kMostCounts = 1e15;  // beyond, doubles no longer count one by one
// Ids beyond these are no layer or expert of any model, and would only eat memory.
constexpr int kMostLayers = 4095, kMostExperts = 4095;

bool has(const CsvReader& csv, std::initializer_list<std::string_view> columns) {
  return std::all_of(columns.begin(), columns.end(), [&](std::string_view name) { return csv.find(name) >= 0; });
}

/// Rows whose columns have the wanted values; which values the other columns take.
class Rows {
public:
  Rows(CsvReader& csv, const ColumnValues& where, std::initializer_list<std::string_view> measured) : csv_{csv} {
    const auto names = csv.header();
    for (const auto& [column, value] : where) {
      if (csv.find(column) < 0)
        throw InputError{"--where", fmt::format("column \"{}\"", column),
                         fmt::format("a column of {}: {}", csv.file(), fmt::join(names, ", ")), nearest(column, names)};
      wanted_.emplace_back(csv.find(column), value);
    }
    for (const auto& name : names)
      if (std::find(measured.begin(), measured.end(), name) == measured.end()) others_.emplace(name, Values{});
  }

  bool next() {
    while (csv_.next()) {
      if (!std::all_of(wanted_.begin(), wanted_.end(), [&](const auto& w) { return csv_.field(w.first) == w.second; }))
        continue;
      ++passed_;
      for (auto& [name, values] : others_)
        if (values.size() < kShown) values.emplace(csv_.field(csv_.find(name)));
      return true;
    }
    if (passed_ == 0) throw InputError{csv_.file(), "no rows that pass --where", "rows of measurements"};
    return false;
  }

  /// Columns that were added up; throws for those that must not be.
  std::vector<std::string> summed_over() const {
    std::vector<std::string> names;
    for (const auto& [name, values] : others_) {
      if (values.size() < 2) continue;
      if (name == "model" || name == "kind")
        throw InputError{csv_.file(), fmt::format("several values of {}: {}", name, fmt::join(values, ", ")),
                         fmt::format("one: --where {}={}", name, *values.begin())};
      names.push_back(name);
    }
    return names;
  }

private:
  static constexpr std::size_t kShown = 20;
  using Values = std::set<std::string, std::less<>>;
  CsvReader& csv_;
  std::vector<std::pair<int, std::string>> wanted_;
  std::map<std::string, Values> others_;
  std::size_t passed_ = 0;
};

double entropy(const std::vector<double>& counts, double total) {
  double sum = 0;
  for (const double n : counts)
    if (n > 0) sum -= n / total * std::log(n / total);
  return sum;
}

}  // namespace

RouteFile kind_of_route_file(const std::string& file) {
  const CsvReader csv{file};
  if (has(csv, {"layer", "expert", "count"})) return RouteFile::loads;
  if (has(csv, {"layer", "e0"})) return RouteFile::tokens;
  if (has(csv, {"layer_pair", "expert_i", "expert_j", "count"})) return RouteFile::pairs;
  throw InputError{file + ":1:1", csv.named_columns(),
                   "layer,expert,count (loads), layer,e0,e1,... (tokens) or layer_pair,expert_i,expert_j,count"};
}

MeasuredLoads read_measured_loads(const std::string& file, const ColumnValues& where) {
  CsvReader csv{file};
  const int layer = csv.require("layer"), expert = csv.require("expert"), count = csv.require("count");
  Rows rows{csv, where, {"layer", "expert", "count"}};
  std::map<int, std::map<int, double>> counts;
  MeasuredLoads loads;
  while (rows.next()) {
    const int e = csv.index(expert, 0, kMostExperts, "expert");
    loads.experts = std::max(loads.experts, e + 1);
    counts[csv.index(layer, 0, kMostLayers, "layer")][e] += csv.amount(count, "count");
  }
  loads.summed_over = rows.summed_over();
  for (const auto& [id, of_expert] : counts) {
    loads.layer_ids.push_back(id);
    const std::size_t first = loads.counts.size();
    loads.counts.resize(first + static_cast<std::size_t>(loads.experts), 0.0);
    double sum = 0;
    for (const auto& [e, n] : of_expert) sum += loads.counts[first + static_cast<std::size_t>(e)] = n;
    if (!(sum > 0))
      throw InputError{file, fmt::format("layer {} without any count", id), "at least one token per layer"};
    if (!(sum <= kMostCounts))
      throw InputError{file, fmt::format("{} counts in layer {}", sum, id), fmt::format("at most {}", kMostCounts)};
  }
  return loads;
}

std::vector<LayerPair> read_layer_pairs(const std::string& file, const ColumnValues& where) {
  CsvReader csv{file};
  const int layers = csv.require("layer_pair"), from = csv.require("expert_i"), to = csv.require("expert_j"),
            count = csv.require("count");
  Rows rows{csv, where, {"layer_pair", "expert_i", "expert_j", "count"}};
  std::map<std::string, std::map<std::pair<int, int>, double>> counts;
  while (rows.next())
    counts[std::string{csv.field(layers)}][{csv.index(from, 0, kMostExperts, "expert"),
                                            csv.index(to, 0, kMostExperts, "expert")}] += csv.amount(count, "count");
  rows.summed_over();
  std::vector<LayerPair> pairs;
  for (const auto& [name, cells] : counts) {
    LayerPair pair{name, 0, 0, {}};
    for (const auto& [cell, n] : cells) {
      pair.from_experts = std::max(pair.from_experts, cell.first + 1);
      pair.to_experts = std::max(pair.to_experts, cell.second + 1);
    }
    const double size = static_cast<double>(pair.from_experts) * pair.to_experts;
    constexpr double kMostCells = 16e6;
    if (size > kMostCells)
      throw InputError{file, fmt::format("{} x {} pairs in {}", pair.from_experts, pair.to_experts, name),
                       "fewer than 16 million pairs of experts"};
    pair.counts.assign(static_cast<std::size_t>(size), 0.0);
    double sum = 0;
    for (const auto& [cell, n] : cells)
      sum += pair.counts[static_cast<std::size_t>(cell.first) * static_cast<std::size_t>(pair.to_experts) +
                         static_cast<std::size_t>(cell.second)] = n;
    if (!(sum > 0 && sum <= kMostCounts))
      throw InputError{file, fmt::format("{} counts in pair {}", sum, name),
                       fmt::format("above 0 and at most {}", kMostCounts)};
    pairs.push_back(std::move(pair));
  }
  return pairs;
}

PairFit fit_pair(const LayerPair& pair) {
  const auto rows = static_cast<std::size_t>(pair.from_experts), columns = static_cast<std::size_t>(pair.to_experts);
  std::vector<double> from(rows, 0.0), to(columns, 0.0);
  double total = 0, guessed = 0;
  for (std::size_t i = 0; i < rows; ++i) {
    double best = 0;
    for (std::size_t j = 0; j < columns; ++j) {
      const double n = pair.counts[i * columns + j];
      from[i] += n;
      to[j] += n;
      best = std::max(best, n);
    }
    total += from[i];
    guessed += best;
  }
  PairFit fit;
  const double information = entropy(from, total) + entropy(to, total) - entropy(pair.counts, total);
  const double uncertainty = entropy(to, total);
  fit.mutual_information_share = uncertainty > 0 ? std::max(0.0, information / uncertainty) : 0;
  const double blind = *std::max_element(to.begin(), to.end());
  fit.affinity = total > blind ? (guessed - blind) / (total - blind) : 0;
  constexpr double kRare = 1e-4;
  for (std::size_t i = 0; i < rows; ++i)
    for (std::size_t j = 0; j < columns; ++j)
      if (const double n = pair.counts[i * columns + j]; n >= kRare * total)
        fit.largest_lift = std::max(fit.largest_lift, n * total / (from[i] * to[j]));
  return fit;
}

namespace {

class TokenReader {
public:
  TokenReader(const std::string& file, int experts)
      : csv_{file},
        most_{experts > 0 ? experts - 1 : kMostExperts},
        layer_{csv_.require("layer")},
        first_{csv_.require("e0")},
        pos_{csv_.find("pos")} {
    while (csv_.find(fmt::format("e{}", trace_.top_k)) == first_ + trace_.top_k) ++trace_.top_k;
    if (pos_ > layer_) throw InputError{file + ":1:1", "pos after layer", "the columns that name a token before layer"};
    trace_.experts = experts;
  }

  TokenTrace read() {
    while (csv_.next()) {
      if (csv_.before(layer_) != token_ || line_.empty()) start_token();
      read_row();
    }
    finish_token();
    if (tokens_ == 0) throw InputError{csv_.file(), "no rows", "rows of layer, e0, e1, ..."};
    trace_.first_token.push_back(tokens_);
    trace_.experts = trace_.experts > 0 ? trace_.experts : largest_ + 1;
    return std::move(trace_);
  }

private:
  void start_token() {
    finish_token();
    token_ = csv_.before(layer_);
    line_ = fmt::format("{}:{}:1", csv_.file(), csv_.line());
    const std::string_view request = pos_ < 0 ? std::string_view{} : csv_.before(pos_);
    if (tokens_ == 0 || request != request_) trace_.first_token.push_back(tokens_);
    request_ = request;
    seen_ = 0;
  }

  void read_row() {
    const int layer = csv_.index(layer_, 0, kMostLayers, "layer");
    const bool first_token = tokens_ == 0;
    if (first_token && (trace_.layer_ids.empty() || layer > trace_.layer_ids.back()))
      trace_.layer_ids.push_back(layer);
    else if (first_token || seen_ >= trace_.layers() || trace_.layer_ids[seen_] != layer)
      throw InputError{
          csv_.place(layer_), fmt::format("layer {}", layer),
          first_token ? "layers in rising order, each of a token once" : "the layers of the first token, in its order"};
    ++seen_;
    const std::size_t begin = trace_.chosen.size();
    for (int i = 0; i < trace_.top_k; ++i) {
      const int expert = csv_.index(first_ + i, 0, most_, "expert");
      const auto id = static_cast<std::int16_t>(expert);
      if (std::find(trace_.chosen.begin() + static_cast<std::ptrdiff_t>(begin), trace_.chosen.end(), id) !=
          trace_.chosen.end())
        throw InputError{csv_.place(first_ + i), fmt::format("expert {} a second time", expert),
                         fmt::format("{} distinct experts", trace_.top_k)};
      trace_.chosen.push_back(id);
      largest_ = std::max(largest_, expert);
    }
  }

  void finish_token() {
    if (line_.empty()) return;
    if (seen_ != trace_.layers())
      throw InputError{line_, fmt::format("{} layers of a token", seen_),
                       fmt::format("{} as of the first token", trace_.layers())};
    ++tokens_;
  }

  CsvReader csv_;
  int most_, layer_, first_, pos_;
  TokenTrace trace_;
  std::string_view token_, request_;
  std::string line_;  // place of the current token's first row
  std::size_t seen_ = 0, tokens_ = 0;
  int largest_ = 0;
};

}  // namespace

TokenTrace read_token_trace(const std::string& file, int experts) {
  return TokenReader{file, experts}.read();
}

}  // namespace moesim
