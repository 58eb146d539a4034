#include "sim/cli/profile_output.hpp"

#include <array>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "models/kernels/published/kernel_model_json.hpp"
#include "sim/cli/profile_shapes.hpp"

namespace moesim {
namespace {

using Json = nlohmann::ordered_json;

/// Tables, curves and knots of one operation, and the measured times that they rest on where the file says it.
struct Extent {
  int tables = 0, curves = 0, knots = 0, points = 0, doubtful = 0;
  std::set<std::string> kernels, formats;
};

std::array<Extent, kKernelOperations> extents(const EngineModel& engine) {
  std::array<Extent, kKernelOperations> made;
  for (const KernelTable& table : engine.tables) {
    Extent& of = made[static_cast<std::size_t>(table.operation)];
    ++of.tables;
    of.curves += static_cast<int>(table.curves.size());
    of.points += table.points;
    of.doubtful += table.doubtful;
    for (const Curve& curve : table.curves) of.knots += static_cast<int>(curve.size.size());
    of.kernels.insert(table.kernel);
    of.formats.emplace(name_of(table.format));
  }
  return made;
}

Json head_json(const KernelModel& model) {
  return {{"profile", model.name},
          {"gpu", model.gpu},
          {"device", model.device},
          {"origin", Json::parse(json_text_of(model.origin))}};
}

/// Null where the file does not say it.
Json points_json(int points) {
  return points > 0 ? Json(points) : Json();
}

Json range_json(const ValueRange& range) {
  return {{"least", range.least}, {"most", range.most}};
}

Json shape_json(const TableExtent& extent) {
  const KernelTable& table = *extent.table;
  const OperationLayout& layout = layout_of(table.operation);
  Json dimensions = Json::object(), axes = Json::object();
  for (std::size_t i = 0; i < layout.dimensions.size(); ++i)
    dimensions[std::string{layout.dimensions[i]}] = table.dimensions[i];
  for (std::size_t i = 0; i < layout.axes.size(); ++i) axes[std::string{layout.axes[i]}] = range_json(extent.axes[i]);
  return {{"operation", layout.name},
          {"kernel", table.kernel},
          {"format", name_of(table.format)},
          {"dimensions", dimensions},
          {"axes", axes},
          {"size", layout.size},
          {"sizes", range_json(extent.size)},
          {"curves", table.curves.size()},
          {"points", points_json(table.points)},
          {"models", extent.models}};
}

/// The engine whose tables a simulation takes; null: the engine's own.
Json stand_in(const EngineModel& engine, KernelOperation operation) {
  const auto lender = engine.stand_ins.find(operation);
  return lender == engine.stand_ins.end() ? Json() : Json(lender->second);
}

/// `key`: "engine" or "library".
Json engine_json(const EngineModel& engine, const char* key) {
  Json operations = Json::array();
  const auto of = extents(engine);
  for (std::size_t i = 0; i < of.size(); ++i) {
    if (of[i].tables == 0) continue;
    operations.push_back({{"operation", name_of(static_cast<KernelOperation>(i))},
                          {"kernels", of[i].kernels},
                          {"formats", of[i].formats},
                          {"tables", of[i].tables},
                          {"curves", of[i].curves},
                          {"knots", of[i].knots},
                          {"points", points_json(of[i].points)},
                          {"doubtful_tables", of[i].doubtful},
                          {"stand_in", stand_in(engine, static_cast<KernelOperation>(i))}});
  }
  Json errors = Json::array();
  for (const ModelError& error : engine.errors) errors.push_back(Json::parse(json_text_of(error)));
  Json shapes = Json::array();
  for (const TableExtent& extent : table_extents(engine)) shapes.push_back(shape_json(extent));
  return {{key, engine.name},
          {"version", engine.version},
          {"operations", operations},
          {"shapes", shapes},
          {"errors", errors}};
}

Json whole_json(const KernelModel& model) {
  Json json = head_json(model);
  json["engines"] = json["collectives"] = Json::array();
  for (const EngineModel& engine : model.engines) json["engines"].push_back(engine_json(engine, "engine"));
  for (const EngineModel& library : model.collectives) json["collectives"].push_back(engine_json(library, "library"));
  json["warnings"] = thin_evidence(model);
  return json;
}

Json verdict_json(const ErrorVerdict& verdict) {
  const auto bound = [](double value) { return value > 0 ? Json(value) : Json(); };
  Json json = Json::parse(json_text_of(verdict.error));
  json["most_median"] = bound(verdict.most_median);
  json["most_p90"] = bound(verdict.most_p90);
  json["least_gain"] = bound(verdict.least_gain);
  json["kept"] = verdict.kept;
  return json;
}

std::string head_text(const KernelModel& model) {
  const ModelOrigin& origin = model.origin;
  const auto if_said = [](const char* before, const std::string& text) {
    return text == "not said" ? "" : before + text;
  };
  std::string text =
      fmt::format("{} · {} · {}{}\n", model.name, model.device, name_of(origin.kind), if_said(" ", origin.date));
  text += fmt::format("  source     {}{}\n", origin.name, if_said(", revision ", origin.revision));
  if (origin.licence != "not said") text += fmt::format("  licence    {}\n", origin.licence);
  for (const std::string& note : model.origin.notes) text += fmt::format("  note       {}\n", note);
  return text;
}

ErrorVerdict judged(const ModelError& error) {
  ErrorVerdict verdict{error, 0, 0, 0, true};
  if (is_collective(error.operation)) {
    verdict.most_median = 0.10;
  } else if (error.regime == "inside" || error.regime == "balanced") {
    verdict.most_median = 0.03;
    verdict.most_p90 = 0.10;
  } else if (error.regime == "unseen slots") {
    verdict.most_median = 0.08;
    verdict.most_p90 = 0.20;
  } else if (error.regime == "skewed, to 512 tokens") {
    verdict.least_gain = 2;
  } else if (error.regime == "skewed, above 512 tokens") {
    verdict.least_gain = 1.3;
  }
  verdict.kept = (verdict.most_median == 0 || error.median <= verdict.most_median) &&
                 (verdict.most_p90 == 0 || error.p90 <= verdict.most_p90) &&
                 (verdict.least_gain == 0 || error.baseline_median >= verdict.least_gain * error.median);
  return verdict;
}

std::string bound_text(const ErrorVerdict& verdict) {
  if (verdict.least_gain > 0)
    return fmt::format("{:.1f} x better (at least {:g})", verdict.error.baseline_median / verdict.error.median,
                       verdict.least_gain);
  if (verdict.most_median > 0 && verdict.most_p90 == 0) return fmt::format("at most {:g} %", 100 * verdict.most_median);
  if (verdict.most_median > 0)
    return fmt::format("at most {:g} and {:g} %", 100 * verdict.most_median, 100 * verdict.most_p90);
  return "not bounded";
}

std::string extent_text(const EngineModel& engine) {
  std::string text = fmt::format("  {} {}\n", engine.name, engine.version);
  const auto of = extents(engine);
  const std::vector<TableExtent> shapes = table_extents(engine);
  for (std::size_t i = 0; i < of.size(); ++i) {
    if (of[i].tables == 0) continue;
    const std::string points = of[i].points > 0 ? fmt::format(" {:>7} measured times", of[i].points) : "";
    const auto operation = static_cast<KernelOperation>(i);
    text += fmt::format("    {:<21}{:>4} tables {:>5} curves {:>6} knots{}   {}\n", name_of(operation), of[i].tables,
                        of[i].curves, of[i].knots, points, fmt::join(of[i].kernels, ", "));
    const Json lender = stand_in(engine, operation);
    const std::string others = lender.is_null() ? "" : fmt::format(": those of {} stand in", lender.get<std::string>());
    if (of[i].doubtful > 0) text += fmt::format("      {} of {} doubtful{}\n", of[i].doubtful, of[i].tables, others);
    text += shape_lines(shapes, operation);
  }
  return text;
}

std::string warning_text(const KernelModel& model) {
  std::string text;
  for (const std::string& line : thin_evidence(model)) text += fmt::format("  warning    {}\n", line);
  return text.empty() ? text : "\n" + text;
}

/// What each operation rests on, for an engine whose file says it.
std::string points_text(const EngineModel& engine) {
  std::vector<std::string> parts;
  const auto of = extents(engine);
  for (std::size_t i = 0; i < of.size(); ++i)
    if (of[i].points > 0)
      parts.push_back(
          fmt::format("{} {} in {} tables", name_of(static_cast<KernelOperation>(i)), of[i].points, of[i].tables));
  return parts.empty() ? "" : fmt::format("    measured times: {}\n", fmt::join(parts, ", "));
}

std::string verdict_text(const EngineModel& engine) {
  std::string text;
  for (const ErrorVerdict& verdict : judge(engine)) {
    const ModelError& of = verdict.error;
    text +=
        fmt::format("    {:<4} {:<21} {:<25} {:>6} rows  median {:5.1f} %  p90 {:5.1f} %  {}: {:5.1f} {:5.1f} %   {}\n",
                    verdict.kept ? "ok" : "MISS", name_of(of.operation), of.regime, of.points, 100 * of.median,
                    100 * of.p90, of.baseline, 100 * of.baseline_median, 100 * of.baseline_p90, bound_text(verdict));
  }
  return text;
}

}  // namespace

std::vector<ErrorVerdict> judge(const EngineModel& engine) {
  std::vector<ErrorVerdict> verdicts;
  for (const ModelError& error : engine.errors) verdicts.push_back(judged(error));
  return verdicts;
}

BoundCount count_bounds(const KernelModel& model) {
  BoundCount count;
  for (const auto* parts : {&model.engines, &model.collectives})
    for (const EngineModel& part : *parts)
      for (const ErrorVerdict& verdict : judge(part)) {
        if (verdict.is_bounded()) ++count.bounded;
        if (!verdict.kept) ++count.missed;
      }
  return count;
}

std::string profile_json(const KernelModel& model) {
  return whole_json(model).dump(2);
}

std::string check_json(const KernelModel& model) {
  Json json = head_json(model);
  const auto checked = [&](const std::vector<EngineModel>& parts, const char* key) {
    Json list = Json::array();
    for (const EngineModel& part : parts) {
      Json verdicts = Json::array();
      for (const ErrorVerdict& verdict : judge(part)) verdicts.push_back(verdict_json(verdict));
      list.push_back({{key, part.name}, {"version", part.version}, {"errors", verdicts}});
    }
    return list;
  };
  json["engines"] = checked(model.engines, "engine");
  json["collectives"] = checked(model.collectives, "library");
  const BoundCount count = count_bounds(model);
  json["bounded"] = count.bounded;
  json["missed"] = count.missed;
  json["all_kept"] = count.missed == 0;
  json["warnings"] = thin_evidence(model);
  return json.dump(2);
}

std::string profile_text_for_people(const KernelModel& model) {
  std::string text = head_text(model);
  for (const EngineModel& engine : model.engines) text += "\n" + extent_text(engine);
  if (!model.collectives.empty()) text += "\n  collectives\n";
  for (const EngineModel& library : model.collectives) text += extent_text(library);
  return text + warning_text(model);
}

std::string check_text(const KernelModel& model) {
  std::string text = head_text(model);
  const char* judged = model.origin.kind == KernelSource::transferred
                           ? "error on the source's rows that no fit saw, or that of carrying over where it is larger"
                           : "error on rows that no fit saw";
  for (const EngineModel& engine : model.engines)
    text += fmt::format("\n  {} {}: {}\n", engine.name, engine.version, judged) + verdict_text(engine) +
            points_text(engine);
  for (const EngineModel& library : model.collectives)
    text += fmt::format("\n  {} {}: error on sizes left out one by one\n", library.name, library.version) +
            verdict_text(library) + points_text(library);
  const BoundCount count = count_bounds(model);
  return text + warning_text(model) + fmt::format("\n  {} of {} bounds missed\n", count.missed, count.bounded);
}

}  // namespace moesim
