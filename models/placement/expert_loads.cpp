#include "models/placement/expert_loads.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "models/units/csv_reader.hpp"
#include "models/units/error.hpp"
#include "models/units/resources.hpp"

namespace moesim {
namespace {

using Filter = std::vector<std::pair<std::string, std::string>>;

// A file that claims more is broken: Kimi-K2 has 384 experts, Switch-C 2,048.
constexpr int kMostExperts = 1 << 16, kMostLayers = 1 << 12;

struct LongForm {
  int layer, expert, count;
  std::vector<std::pair<int, std::string>> wanted;  ///< (column, value) that a row must have
  std::vector<int> others;                          ///< neither read nor filtered
};

bool is_long_form(const CsvReader& csv) {
  return csv.find("layer") >= 0 && csv.find("expert") >= 0 && csv.find("count") >= 0;
}

LongForm long_form(const CsvReader& csv, const Filter& where) {
  LongForm form{csv.require("layer"), csv.require("expert"), csv.require("count"), {}, {}};
  for (const auto& [name, value] : where) form.wanted.emplace_back(csv.require(name), value);
  for (int column = 0; column < csv.columns(); ++column) {
    const bool read = column == form.layer || column == form.expert || column == form.count;
    const bool filtered =
        std::any_of(form.wanted.begin(), form.wanted.end(), [&](auto& w) { return w.first == column; });
    if (!read && !filtered) form.others.push_back(column);
  }
  return form;
}

struct Cells {
  std::map<std::pair<int, int>, double> counts;  ///< (layer, expert) -> count
  std::map<int, std::string> seen;               ///< first value of each other column
  std::set<int> varying;                         ///< other columns with more than one value
  std::string repeated, repeated_where;          ///< the first (layer, expert) that came twice
};

void note_other_columns(const LongForm& form, const CsvReader& csv, Cells& cells) {
  for (const int column : form.others)
    if (cells.seen.try_emplace(column, csv.field(column)).first->second != csv.field(column))
      cells.varying.insert(column);
}

void add_row(const LongForm& form, const CsvReader& csv, Cells& cells) {
  for (const auto& [column, value] : form.wanted)
    if (csv.field(column) != value) return;
  const int layer = csv.index(form.layer, 0, kMostLayers - 1, "layer");
  const int expert = csv.index(form.expert, 0, kMostExperts - 1, "expert");
  const auto [cell, fresh] = cells.counts.try_emplace({layer, expert}, 0.0);
  if (!fresh && cells.repeated.empty()) {
    cells.repeated = fmt::format("layer {}, expert {} again", layer, expert);
    cells.repeated_where = csv.place(form.expert);
  }
  cell->second += csv.amount(form.count, "count");
  note_other_columns(form, csv, cells);
}

ExpertLoads from_counts(const std::string& file, const std::map<std::pair<int, int>, double>& cells) {
  if (cells.empty()) throw InputError{file, "no rows", "at least one row that the filter keeps"};
  ExpertLoads loads;
  for (const auto& [key, count] : cells) loads.experts = std::max(loads.experts, key.second + 1);
  int expected = 0;  // cells are sorted: every layer must run through 0 .. experts - 1
  const auto missing = [&](int layer, int expert) {
    return InputError{file, fmt::format("no row for layer {}, expert {}", layer, expert),
                      fmt::format("all {} experts in every layer", loads.experts)};
  };
  for (const auto& [key, count] : cells) {
    const auto [layer, expert] = key;
    if (loads.layer_ids.empty() || loads.layer_ids.back() != layer) {
      if (expected != 0 && expected != loads.experts) throw missing(loads.layer_ids.back(), expected);
      loads.layer_ids.push_back(layer);
      expected = 0;
    }
    if (expert != expected++) throw missing(layer, expected - 1);
    loads.counts.push_back(count);
  }
  if (expected != loads.experts) throw missing(loads.layer_ids.back(), expected);
  return loads;
}

ExpertLoads read_long(CsvReader& csv, const Filter& where) {
  const LongForm form = long_form(csv, where);
  Cells cells;
  while (csv.next()) add_row(form, csv, cells);
  if (!cells.repeated.empty() && cells.varying.empty())
    throw InputError{cells.repeated_where, cells.repeated, "one row for each"};
  ExpertLoads loads = from_counts(csv.file(), cells.counts);
  if (!cells.repeated.empty())
    for (const int column : cells.varying) loads.summed_over.push_back(csv.header()[static_cast<std::size_t>(column)]);
  return loads;
}

void append_layer(ExpertLoads& loads, int layer, std::size_t experts, const std::string& where) {
  if (experts == 0 || experts > kMostExperts)
    throw InputError{where, fmt::format("{} experts", experts), fmt::format("1 to {}", kMostExperts)};
  if (loads.experts != 0 && loads.experts != static_cast<int>(experts))
    throw InputError{where, fmt::format("{} experts", experts), fmt::format("{} as in the rows before", loads.experts)};
  if (!loads.layer_ids.empty() && layer <= loads.layer_ids.back())
    throw InputError{where, fmt::format("layer {} after layer {}", layer, loads.layer_ids.back()), "ascending layers"};
  loads.experts = static_cast<int>(experts);
  loads.layer_ids.push_back(layer);
}

ExpertLoads read_wide(CsvReader& csv) {
  const bool numbered = csv.find("layer") == 0;
  ExpertLoads loads;
  while (csv.next()) {
    const int layer = numbered ? csv.index(0, 0, kMostLayers - 1, "layer") : loads.layers();
    const int first = numbered ? 1 : 0;
    append_layer(loads, layer, static_cast<std::size_t>(csv.columns() - first), csv.place(0));
    for (int column = first; column < csv.columns(); ++column) loads.counts.push_back(csv.amount(column, "count"));
  }
  if (loads.layer_ids.empty()) throw InputError{csv.file(), "no rows", "one row per layer"};
  return loads;
}

double checked_count(double count, const std::string& where) {
  if (!std::isfinite(count) || count < 0)
    throw InputError{where, fmt::format("count {}", count), "a finite number >= 0"};
  return count;
}

ExpertLoads read_json(const std::string& file) {
  const auto document = nlohmann::json::parse(read_text_file(file), nullptr, /*allow_exceptions=*/false);
  if (!document.is_array() || document.empty())
    throw InputError{file, document.is_discarded() ? "broken JSON" : document.type_name(),
                     "an array with one array of counts per layer"};
  ExpertLoads loads;
  for (const auto& row : document) {
    const std::string where = fmt::format("{}: layer {}", file, loads.layers());
    if (!row.is_array()) throw InputError{where, row.type_name(), "an array of counts"};
    append_layer(loads, loads.layers(), row.size(), where);
    for (const auto& count : row) {
      if (!count.is_number()) throw InputError{where, count.type_name(), "an array of counts"};
      loads.counts.push_back(checked_count(count.get<double>(), where));
    }
  }
  return loads;
}

void refuse_filter(const std::string& file, const Filter& where) {
  if (!where.empty())
    throw InputError{file, fmt::format("a filter on {}", where[0].first),
                     "a file with the columns layer, expert and count"};
}

}  // namespace

ExpertLoads read_expert_loads(const std::string& file, const Filter& where) {
  if (file.ends_with(".json")) {
    refuse_filter(file, where);
    return read_json(file);
  }
  CsvReader csv{file, CsvReader::Header::unless_numbers};
  if (is_long_form(csv)) return read_long(csv, where);
  refuse_filter(file, where);
  return read_wide(csv);
}

}  // namespace moesim
