#include <fmt/format.h>
#include <nlohmann/json.hpp>

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

std::string text_of(const KernelTable& table) {
  const OperationLayout& layout = layout_of(table.operation);
  ordered_json dimensions = ordered_json::object();
  for (std::size_t i = 0; i < layout.dimensions.size(); ++i)
    dimensions[std::string{layout.dimensions[i]}] = table.dimensions[i];
  ordered_json head{{"operation", layout.name}, {"kernel", table.kernel}, {"format", name_of(table.format)},
                    {"dimensions", dimensions}, {"axes", layout.axes},    {"size", layout.size}};
  if (table.per_token > Seconds{0}) head["per_token_us"] = table.per_token.value() * 1e6;
  if (table.points > 0) head["points"] = table.points;
  std::string text = head.dump();
  text.pop_back();
  return text +
         ",\"curves\":" + lines_of(table.curves, "", [](const Curve& curve) { return compact(text_of(curve)); }) + "}";
}

std::string text_of(const EngineModel& engine, const char* key) {
  return fmt::format("{{\"{}\": {}, \"version\": {}, \"errors\": {},\n     \"tables\": {}}}", key,
                     ordered_json(engine.name).dump(), ordered_json(engine.version).dump(),
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
