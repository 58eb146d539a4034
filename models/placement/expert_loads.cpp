#include "models/placement/expert_loads.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <numeric>
#include <optional>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "models/placement/csv.hpp"
#include "models/units/error.hpp"
#include "models/units/resources.hpp"

namespace moesim {
namespace {

using Filter = std::vector<std::pair<std::string, std::string>>;
using Fields = std::vector<std::string_view>;

// A file that claims more is broken: Kimi-K2 has 384 experts, Switch-C 2,048.
constexpr int kMostExperts = 1 << 16, kMostLayers = 1 << 12;

std::optional<double> number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

double checked_count(double count, const std::string& where) {
  if (!std::isfinite(count) || count < 0)
    throw InputError{where, fmt::format("{}", count), "a finite count, 0 or more"};
  return count;
}

double parse_count(std::string_view text, const std::string& where) {
  const auto value = number(text);
  if (!value) throw InputError{where, fmt::format("'{}'", text.substr(0, 40)), "a number"};
  return checked_count(*value, where);
}

std::size_t column_of(const Fields& header, std::string_view name) {
  return static_cast<std::size_t>(std::find(header.begin(), header.end(), name) - header.begin());
}

bool is_long_form(const Fields& header) {
  return column_of(header, "layer") < header.size() && column_of(header, "expert") < header.size() &&
         column_of(header, "count") < header.size();
}

struct LongForm {
  std::size_t columns, layer, expert, count;
  std::vector<std::pair<std::size_t, std::string>> wanted;  ///< (column, value) that a row must have
  std::vector<std::size_t> others;                          ///< neither read nor filtered
};

LongForm long_form(const std::string& file, const Fields& header, const Filter& where) {
  LongForm form{
      header.size(), column_of(header, "layer"), column_of(header, "expert"), column_of(header, "count"), {}, {}};
  const std::vector<std::string> names(header.begin(), header.end());
  for (const auto& [name, value] : where) {
    const std::size_t column = column_of(header, name);
    if (column == header.size())
      throw InputError{file, fmt::format("no column {}", name), fmt::format("one of {}", fmt::join(names, ", ")),
                       nearest(name, names)};
    form.wanted.emplace_back(column, value);
  }
  for (std::size_t column = 0; column < names.size(); ++column) {
    const bool read = column == form.layer || column == form.expert || column == form.count;
    const bool filtered =
        std::any_of(form.wanted.begin(), form.wanted.end(), [&](auto& w) { return w.first == column; });
    if (!read && !filtered) form.others.push_back(column);
  }
  return form;
}

struct Cells {
  std::map<std::pair<int, int>, double> counts;  ///< (layer, expert) -> count
  std::map<std::size_t, std::string> seen;       ///< first value of each other column
  std::set<std::size_t> varying;                 ///< other columns with more than one value
  std::string repeated, repeated_where;          ///< the first (layer, expert) that came twice
};

void note_other_columns(const LongForm& form, const Fields& fields, Cells& cells) {
  for (std::size_t column : form.others)
    if (cells.seen.try_emplace(column, fields[column]).first->second != fields[column]) cells.varying.insert(column);
}

void add_row(const LongForm& form, const Fields& fields, const std::string& where, Cells& cells) {
  if (fields.size() != form.columns)
    throw InputError{where, fmt::format("{} fields", fields.size()), fmt::format("{} as in the header", form.columns)};
  for (const auto& [column, value] : form.wanted)
    if (fields[column] != value) return;
  const int layer = parse_index(fields[form.layer], where, "layer", 0, kMostLayers - 1);
  const int expert = parse_index(fields[form.expert], where, "expert", 0, kMostExperts - 1);
  const auto [cell, fresh] = cells.counts.try_emplace({layer, expert}, 0.0);
  if (!fresh && cells.repeated.empty()) {
    cells.repeated = fmt::format("layer {}, expert {} again", layer, expert);
    cells.repeated_where = where;
  }
  cell->second += parse_count(fields[form.count], where);
  note_other_columns(form, fields, cells);
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

ExpertLoads read_long(const std::string& file, const std::vector<std::string>& lines, const Filter& where) {
  const Fields header = split_fields(lines[0], ',');
  const LongForm form = long_form(file, header, where);
  Cells cells;
  for (std::size_t i = 1; i < lines.size(); ++i)
    if (!lines[i].empty()) add_row(form, split_fields(lines[i], ','), place_in(file, i + 1), cells);
  if (!cells.repeated.empty() && cells.varying.empty())
    throw InputError{cells.repeated_where, cells.repeated, "one row for each"};
  ExpertLoads loads = from_counts(file, cells.counts);
  if (!cells.repeated.empty())
    for (std::size_t column : cells.varying) loads.summed_over.emplace_back(header[column]);
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

ExpertLoads read_wide(const std::string& file, const std::vector<std::string>& lines) {
  const Fields header = split_fields(lines[0], ',');
  const bool has_header = std::any_of(header.begin(), header.end(), [](auto field) { return !number(field); });
  const bool numbered = has_header && header[0] == "layer";
  ExpertLoads loads;
  for (std::size_t i = has_header ? 1 : 0; i < lines.size(); ++i) {
    if (lines[i].empty()) continue;
    const std::string where = place_in(file, i + 1);
    Fields fields = split_fields(lines[i], ',');
    if (has_header && fields.size() != header.size())
      throw InputError{where, fmt::format("{} fields", fields.size()),
                       fmt::format("{} as in the header", header.size())};
    const int layer = numbered ? parse_index(fields[0], where, "layer", 0, kMostLayers - 1) : loads.layers();
    if (numbered) fields.erase(fields.begin());
    append_layer(loads, layer, fields.size(), where);
    for (std::string_view field : fields) loads.counts.push_back(parse_count(field, where));
  }
  if (loads.layer_ids.empty()) throw InputError{file, "no rows", "one row per layer"};
  return loads;
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
  const std::vector<std::string> lines = read_lines(file);
  if (lines.empty()) throw InputError{file, "nothing", "expert counts"};
  if (is_long_form(split_fields(lines[0], ','))) return read_long(file, lines, where);
  refuse_filter(file, where);
  return read_wide(file, lines);
}

}  // namespace moesim
