#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "models/kernels/published/curve_scale.hpp"
#include "models/kernels/published/kernel_model_json.hpp"

namespace moesim {
namespace {

using nlohmann::ordered_json;

/// One line per curve, "[[n, k], [m ...], [us ...], tile]", so that files can be compared by line.
std::string text_of(const Curve& curve) {
  ordered_json parts = ordered_json::array({curve.at, curve.size, curve.microseconds});
  if (curve.tile > 1) parts.push_back(curve.tile);
  return parts.dump();
}

/// Whole numbers without ".0".
std::string compact(std::string json) {
  std::string text;
  for (std::size_t i = 0; i < json.size(); ++i) {
    const bool whole = json[i] == '.' && json.compare(i, 2, ".0") == 0 && i + 2 < json.size() &&
                       (json[i + 2] == ',' || json[i + 2] == ']');
    if (whole) {
      ++i;
    } else {
      text += json[i];
    }
  }
  return text;
}

template <class Part, class Text>
std::string lines_of(const std::vector<Part>& parts, const char* indent, Text text_of_part) {
  std::string text;
  for (const Part& part : parts) text += fmt::format("{}\n{}{}", text.empty() ? "" : ",", indent, text_of_part(part));
  return "[" + text + "]";
}

/// Curves that differ in the last axis alone.
struct CurveGroup {
  std::set<double> sizes;
  std::vector<double> last;  ///< places
  std::vector<const Curve*> curves;
};

/// `[[places], [sizes], [last places], ["times" ...]]`; sizes and last places that are those of the group before are
/// [].
std::optional<std::string> packed_text(const std::vector<double>& places, const CurveGroup& group,
                                       const CurveGroup* before) {
  std::vector<std::string> texts;
  for (const Curve* curve : group.curves) {
    auto text = packed(*curve, {group.sizes.begin(), group.sizes.end()});
    if (!text) return std::nullopt;
    texts.push_back(std::move(*text));
  }
  const bool same_sizes = before && before->sizes == group.sizes, same_last = before && before->last == group.last;
  const ordered_json numbers{places, same_sizes ? std::set<double>{} : group.sizes,
                             same_last ? std::vector<double>{} : group.last};
  std::string text = compact(numbers.dump());
  text.back() = ',';
  return text + ordered_json(texts).dump() + "]";
}

/// The rest of a table whose times are all on the scale.
std::optional<std::string> packed_text(const KernelTable& table) {
  const int alignment = table.curves.front().alignment;
  std::map<std::vector<double>, CurveGroup> groups;
  for (const Curve& curve : table.curves) {
    if (curve.alignment != alignment || curve.at.empty()) return std::nullopt;
    CurveGroup& group = groups[{curve.at.begin(), curve.at.end() - 1}];
    group.sizes.insert(curve.size.begin(), curve.size.end());
    group.last.push_back(curve.at.back());
    group.curves.push_back(&curve);
  }
  std::vector<std::string> lines;
  const CurveGroup* before = nullptr;
  for (const auto& [places, group] : groups) {
    const auto text = packed_text(places, group, before);
    if (!text) return std::nullopt;
    lines.push_back(*text);
    before = &group;
  }
  return fmt::format("\"alignment\":{},\"curves\":{}", alignment,
                     lines_of(lines, "", [](const std::string& line) { return line; }));
}

std::string listed_text(const KernelTable& table) {
  if (std::any_of(table.curves.begin(), table.curves.end(), [](const Curve& curve) { return curve.alignment != 1; }))
    throw std::invalid_argument{"curves with an alignment need times on the scale, and all the same alignment"};
  return "\"curves\":" + lines_of(table.curves, "", [](const Curve& curve) { return compact(text_of(curve)); });
}

std::string text_of(const KernelTable& table) {
  const OperationLayout& layout = layout_of(table.operation);
  ordered_json dimensions = ordered_json::object();
  for (std::size_t i = 0; i < layout.dimensions.size(); ++i)
    dimensions[std::string{layout.dimensions[i]}] = table.dimensions[i];
  ordered_json head{{"operation", layout.name}, {"kernel", table.kernel}, {"format", name_of(table.format)},
                    {"dimensions", dimensions}, {"axes", layout.axes},    {"size", layout.size}};
  if (table.per_token > Seconds{0}) head["per_token_us"] = table.per_token.value() * 1e6;
  if (table.tiles.tile > 0) head["tiles"] = {{"rows", table.tiles.tile}, {"share", table.tiles.share}};
  if (table.points > 0) head["points"] = table.points;
  if (table.doubtful) head["doubtful"] = true;
  std::string text = head.dump();
  text.pop_back();
  const auto packed = packed_text(table);
  return text + "," + (packed ? *packed : listed_text(table)) + "}";
}

std::string text_of(const EngineModel& engine, const char* key) {
  ordered_json lent = ordered_json::object();
  for (const auto& [operation, lender] : engine.stand_ins) lent[std::string{name_of(operation)}] = lender;
  const std::string stand_ins = lent.empty() ? "" : fmt::format(" \"stand_ins\": {},", lent.dump());
  return fmt::format("{{\"{}\": {}, \"version\": {},{} \"errors\": {},\n     \"tables\": {}}}", key,
                     ordered_json(engine.name).dump(), ordered_json(engine.version).dump(), stand_ins,
                     lines_of(engine.errors, "      ", [](const ModelError& error) { return json_text_of(error); }),
                     lines_of(engine.tables, "      ", [](const KernelTable& table) { return text_of(table); }));
}

}  // namespace

std::string json_text_of(const ModelError& error) {
  return ordered_json{{"operation", name_of(error.operation)},
                      {"regime", error.regime},
                      {"points", error.points},
                      {"median", error.median},
                      {"p90", error.p90},
                      {"sigma", error.sigma},
                      {"bias", error.bias},
                      {"baseline", error.baseline},
                      {"baseline_median", error.baseline_median},
                      {"baseline_p90", error.baseline_p90}}
      .dump();
}

std::string json_text_of(const ModelOrigin& origin) {
  return ordered_json{{"source", name_of(origin.kind)}, {"name", origin.name},
                      {"revision", origin.revision},    {"date", origin.date},
                      {"licence", origin.licence},      {"notes", origin.notes}}
      .dump();
}

std::string kernel_model_text(const KernelModel& model) {
  return fmt::format(
      "{{\n  \"format\": \"moesim kernel model\",\n  \"version\": {},\n  \"name\": {},\n  \"gpu\": {},\n"
      "  \"device\": {},\n  \"origin\": {},\n  \"engines\": {},\n  \"collectives\": {}\n}}\n",
      kKernelModelVersion, ordered_json(model.name).dump(), ordered_json(model.gpu).dump(),
      ordered_json(model.device).dump(), json_text_of(model.origin),
      lines_of(model.engines, "    ", [](const EngineModel& engine) { return text_of(engine, "engine"); }),
      lines_of(model.collectives, "    ", [](const EngineModel& library) { return text_of(library, "library"); }));
}

}  // namespace moesim
