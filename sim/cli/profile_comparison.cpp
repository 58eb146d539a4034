#include "sim/cli/profile_comparison.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

namespace moesim {
namespace {

using Json = nlohmann::ordered_json;

Json head_json(const KernelModel& model) {
  return {{"profile", model.name}, {"gpu", model.gpu}, {"device", model.device}};
}

/// Null without a common point.
Json ratio_json(const RatioSpread& ratio) {
  if (ratio.points == 0) return nullptr;
  return {{"points", ratio.points}, {"median", ratio.median}, {"p10", ratio.p10}, {"p90", ratio.p90}};
}

Json shape_json(KernelOperation operation, const TableShape& shape) {
  Json dimensions = Json::object();
  const OperationLayout& layout = layout_of(operation);
  for (std::size_t i = 0; i < layout.dimensions.size(); ++i)
    dimensions[std::string{layout.dimensions[i]}] = shape.dimensions[i];
  return {{"format", name_of(shape.format)}, {"dimensions", dimensions}};
}

Json shapes_json(KernelOperation operation, const std::vector<TableShape>& shapes) {
  Json list = Json::array();
  for (const TableShape& shape : shapes) list.push_back(shape_json(operation, shape));
  return list;
}

Json operation_json(const OperationComparison& of) {
  Json shapes = Json::array();
  for (const ShapeComparison& one : of.shapes) {
    Json json = shape_json(of.operation, one.shape);
    json["b_over_a"] = ratio_json(one.ratio);
    shapes.push_back(json);
  }
  return {{"operation", name_of(of.operation)},
          {"b_over_a", ratio_json(of.ratio)},
          {"shapes", shapes},
          {"only_a", shapes_json(of.operation, of.only_a)},
          {"only_b", shapes_json(of.operation, of.only_b)}};
}

Json engines_json(const std::vector<EngineComparison>& engines) {
  Json list = Json::array();
  for (const EngineComparison& engine : engines) {
    Json operations = Json::array();
    for (const OperationComparison& of : engine.operations) operations.push_back(operation_json(of));
    list.push_back({{"a", engine.a}, {"b", engine.b}, {"operations", operations}});
  }
  return list;
}

std::string ratio_text(const RatioSpread& ratio) {
  if (ratio.points == 0) return fmt::format("{:>7}  no common point", 0);
  return fmt::format("{:>7}  {:>6.3f}  {:>6.3f}  {:>6.3f}", ratio.points, ratio.median, ratio.p10, ratio.p90);
}

std::string shape_text(KernelOperation operation, const TableShape& shape) {
  std::string text{name_of(shape.format)};
  const OperationLayout& layout = layout_of(operation);
  for (std::size_t i = 0; i < layout.dimensions.size(); ++i)
    text += fmt::format(" {} {}", layout.dimensions[i], shape.dimensions[i]);
  return text;
}

std::string engine_text(const EngineComparison& engine, bool shapes) {
  std::string text = fmt::format("\n  {:<46} {:>7}  {:>6}  {:>6}  {:>6}  only A  only B\n",
                                 engine.a == engine.b ? engine.a : fmt::format("A {}, B {}", engine.a, engine.b),
                                 "points", "median", "p10", "p90");
  for (const OperationComparison& of : engine.operations) {
    text += fmt::format("    {:<44} {:<31}  {:>6}  {:>6}\n", name_of(of.operation), ratio_text(of.ratio),
                        of.only_a.size(), of.only_b.size());
    if (!shapes) continue;
    for (const ShapeComparison& one : of.shapes)
      text += fmt::format("      {:<42} {}\n", shape_text(of.operation, one.shape), ratio_text(one.ratio));
    for (const TableShape& shape : of.only_a)
      text += fmt::format("      {:<42} only A\n", shape_text(of.operation, shape));
    for (const TableShape& shape : of.only_b)
      text += fmt::format("      {:<42} only B\n", shape_text(of.operation, shape));
  }
  return text;
}

}  // namespace

std::string profile_comparison_json(const KernelModel& a, const KernelModel& b, const ModelComparison& comparison) {
  return Json{{"a", head_json(a)},
              {"b", head_json(b)},
              {"engines", engines_json(comparison.engines)},
              {"collectives", engines_json(comparison.collectives)},
              {"only_a", comparison.only_a},
              {"only_b", comparison.only_b}}
      .dump(2);
}

std::string profile_comparison_text(const KernelModel& a, const KernelModel& b, const ModelComparison& comparison,
                                    bool shapes) {
  std::string text =
      fmt::format("A {} · {}\nB {} · {}\ntimes of B over those of A, at the points of both; shapes of one alone\n",
                  a.name, a.device, b.name, b.device);
  for (const EngineComparison& engine : comparison.engines) text += engine_text(engine, shapes);
  for (const EngineComparison& library : comparison.collectives) text += engine_text(library, shapes);
  if (!comparison.only_a.empty()) text += fmt::format("\n  only A   {}\n", fmt::join(comparison.only_a, ", "));
  if (!comparison.only_b.empty()) text += fmt::format("\n  only B   {}\n", fmt::join(comparison.only_b, ", "));
  return text;
}

}  // namespace moesim
