#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "sim/validate/validation.hpp"

namespace moesim {
namespace {

using Json = nlohmann::ordered_json;

Json text_or_null(const std::string& text) {
  return text.empty() ? Json(nullptr) : Json(text);
}

template <class T>
Json optional(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json case_json(const ValidatedCase& one) {
  const bool compared = one.is_compared();
  return {{"file", one.of.file},
          {"line", one.of.line},
          {"group", one.of.group},
          {"case", one.of.what},
          {"flags", one.of.flags},
          {"quantity", one.of.quantity},
          {"unit", one.of.unit},
          {"status", name_of(one.status)},
          {"measured", optional(one.of.measured)},
          {"predicted", compared ? Json(one.predicted) : Json(nullptr)},
          {"error", compared ? Json(one.pair().error()) : Json(nullptr)},
          {"decode_alone", optional(one.decode_alone)},
          {"kernel_source", text_or_null(one.source)},
          {"reason", text_or_null(one.reason)}};
}

Json errors_json(const ErrorStatistics& errors) {
  return {{"n", errors.n},
          {"median_absolute_error", errors.median},
          {"p90_absolute_error", errors.p90},
          {"bias", errors.bias},
          {"rank_correlation", optional(errors.ordering)}};
}

Json statistics_json(const StatisticsLine& line) {
  return {{"file", line.file},
          {"group", text_or_null(line.group)},
          {"flagged", line.flagged},
          {"errors", errors_json(line.errors)},
          {"decode_alone", line.decode_alone ? errors_json(*line.decode_alone) : Json(nullptr)}};
}

Json file_json(const Validation& validation, const ValidatedFile& file) {
  Json counts{{"predicted", 0}, {"flagged", 0}, {"not_expressed", 0}, {"failed", 0}};
  for (const ValidatedCase& one : validation.cases)
    if (one.of.file == file.name) {
      Json& count = counts[std::string{name_of(one.status)}];
      count = count.get<int>() + 1;
    }
  return {{"name", file.name}, {"rows", file.rows}, {"figures", counts}};
}

std::string field(const Json& value) {
  if (value.is_null()) return {};
  if (!value.is_string()) return value.dump();
  const std::string text = value;
  if (text.find_first_of("\",\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string{"\"\""} : std::string{c};
  return quoted + "\"";
}

}  // namespace

std::string validation_json(const Validation& validation) {
  Json files = Json::array(), statistics = Json::array(), cases = Json::array();
  for (const ValidatedFile& file : validation.files) files.push_back(file_json(validation, file));
  for (const StatisticsLine& line : statistics_lines(validation)) statistics.push_back(statistics_json(line));
  for (const ValidatedCase& one : validation.cases) cases.push_back(case_json(one));
  const Json document{{"folder", validation.folder},   {"version", MOESIM_VERSION}, {"files", files},
                      {"ignored", validation.ignored}, {"statistics", statistics},  {"cases", cases}};
  return document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string validation_csv(const Validation& validation) {
  std::string text;
  for (const ValidatedCase& one : validation.cases) {
    const Json row = case_json(one);
    std::string names, fields;
    for (const auto& [name, value] : row.items()) {
      names += (names.empty() ? "" : ",") + name;
      fields += (fields.empty() ? "" : ",") + field(value);
    }
    if (text.empty()) text = names + "\n";
    text += fields + "\n";
  }
  return text;
}

}  // namespace moesim
