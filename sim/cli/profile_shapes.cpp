#include "sim/cli/profile_shapes.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <tuple>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "models/llm/architecture.hpp"
#include "models/units/resources.hpp"

namespace moesim {
namespace {

constexpr int kFewPoints = 5;   ///< of a table: no curve to speak of
constexpr int kFewJudged = 10;  ///< of an operation: a median and a p90 of nearly nothing

void widen(ValueRange& range, double value, bool first) {
  range.least = first ? value : std::min(range.least, value);
  range.most = first ? value : std::max(range.most, value);
}

void widen(ValueRange& range, const ValueRange& by, bool first) {
  widen(range, by.least, first);
  widen(range, by.most, false);
}

std::vector<Architecture> mixtures_of_experts() {
  std::vector<Architecture> models;
  for (const std::string& name : resource_names(Resource::zoo))
    if (Architecture model = load_architecture(name); model.moe && model.gated) models.push_back(std::move(model));
  return models;
}

/// The experts of the model, or a slice of their width that expert TP gives a rank.
bool holds(const KernelTable& table, const Architecture& model) {
  const auto& [hidden, width, experts, top_k] =
      std::tie(table.dimensions[0], table.dimensions[1], table.dimensions[2], table.dimensions[3]);
  return hidden == model.hidden && (experts == 0 || (experts == model.moe->experts && top_k == model.moe->top_k)) &&
         width > 0 && model.moe->expert_hidden % width == 0;
}

TableExtent extent_of(const KernelTable& table, const std::vector<Architecture>& models) {
  TableExtent made{&table, std::vector<ValueRange>(layout_of(table.operation).axes.size()), {}, {}};
  for (const Curve& curve : table.curves) {
    const bool first = &curve == &table.curves.front();
    for (std::size_t axis = 0; axis < made.axes.size(); ++axis) widen(made.axes[axis], curve.at[axis], first);
    widen(made.size, {curve.size.front(), curve.size.back()}, first);
  }
  if (is_experts(table.operation))
    for (const Architecture& model : models)
      if (holds(table, model)) made.models.push_back(model.name);
  return made;
}

/// Tables of one shape: all number formats and, of experts, all slices of the width.
struct Shape {
  std::map<std::string_view, std::set<int>> widths;  ///< by format; empty sets but for experts
  std::vector<ValueRange> axes;
  ValueRange size;
  std::set<std::string> models;
};

/// Dimensions without the width of experts.
std::vector<int> shape_key(const KernelTable& table) {
  std::vector<int> key = table.dimensions;
  if (is_experts(table.operation)) key[1] = 0;
  return key;
}

std::string range_text(std::string_view name, const ValueRange& range) {
  return range.least == range.most ? fmt::format("{} {:.6g}", name, range.least)
                                   : fmt::format("{} {:.6g}..{:.6g}", name, range.least, range.most);
}

std::string widths_text(std::string_view format, const std::set<int>& widths) {
  if (widths.empty()) return std::string{format};
  if (widths.size() == 1) return fmt::format("{} {}", format, *widths.begin());
  return fmt::format("{} {}..{} ({} widths)", format, *widths.begin(), *widths.rbegin(), widths.size());
}

std::string name_text(KernelOperation operation, const std::vector<int>& key) {
  if (is_experts(operation) && key[2] == 0) return fmt::format("{} wide", key[0]);
  if (is_experts(operation)) return fmt::format("{} wide, {} experts, top {}", key[0], key[2], key[3]);
  std::vector<std::string> parts;
  const OperationLayout& layout = layout_of(operation);
  for (std::size_t i = 0; i < key.size(); ++i) parts.push_back(fmt::format("{} {}", layout.dimensions[i], key[i]));
  return parts.empty() ? "any" : fmt::format("{}", fmt::join(parts, ", "));
}

std::string line_of(KernelOperation operation, const std::vector<int>& key, const Shape& shape) {
  const OperationLayout& layout = layout_of(operation);
  std::vector<std::string> formats, ranges;
  for (const auto& [format, widths] : shape.widths) formats.push_back(widths_text(format, widths));
  for (std::size_t axis = 0; axis < shape.axes.size(); ++axis)
    ranges.push_back(range_text(layout.axes[axis], shape.axes[axis]));
  ranges.push_back(range_text(layout.size, shape.size));
  return fmt::format("      {}: {} · {}{}\n", name_text(operation, key), fmt::join(formats, ", "),
                     fmt::join(ranges, ", "),
                     shape.models.empty() ? "" : fmt::format(" · {}", fmt::join(shape.models, ", ")));
}

/// Of one engine or library, by operation.
struct Evidence {
  int tables = 0, thin = 0, least = 0, judged = 0;
};

std::string table_count(const Evidence& of) {
  return of.tables == 1 ? "its table rests" : fmt::format("{} of {} tables rest", of.thin, of.tables);
}

void add_thin(const EngineModel& engine, std::vector<std::string>& lines) {
  std::array<Evidence, kKernelOperations> evidence;
  for (const KernelTable& table : engine.tables) {
    Evidence& of = evidence[static_cast<std::size_t>(table.operation)];
    ++of.tables;
    if (table.points == 0 || table.points >= kFewPoints) continue;
    of.least = of.thin == 0 ? table.points : std::min(of.least, table.points);
    ++of.thin;
  }
  for (const ModelError& error : engine.errors)
    evidence[static_cast<std::size_t>(error.operation)].judged += error.points;
  for (std::size_t i = 0; i < evidence.size(); ++i) {
    const Evidence& of = evidence[i];
    const std::string name =
        fmt::format("{} {}: {}", engine.name, engine.version, name_of(static_cast<KernelOperation>(i)));
    if (of.thin > 0)
      lines.push_back(
          fmt::format("{}: {} on fewer than {} measured times (the least on {}): little more than those "
                      "points themselves",
                      name, table_count(of), kFewPoints, of.least));
    if (of.tables > 0 && of.judged < kFewJudged)
      lines.push_back(fmt::format("{}: judged on {} rows that no fit saw, fewer than {}: {}", name, of.judged,
                                  kFewJudged, of.judged == 0 ? "its error is not known" : "its error is hardly known"));
  }
}

}  // namespace

std::vector<TableExtent> table_extents(const EngineModel& engine) {
  static const std::vector<Architecture> models = mixtures_of_experts();
  std::vector<TableExtent> extents;
  for (const KernelTable& table : engine.tables) extents.push_back(extent_of(table, models));
  return extents;
}

std::string shape_lines(const std::vector<TableExtent>& extents, KernelOperation operation) {
  std::map<std::vector<int>, Shape> shapes;
  for (const TableExtent& extent : extents) {
    const KernelTable& table = *extent.table;
    if (table.operation != operation) continue;
    const auto [at, is_new] = shapes.try_emplace(shape_key(table));
    Shape& shape = at->second;
    std::set<int>& widths = shape.widths[name_of(table.format)];
    if (is_experts(operation)) widths.insert(table.dimensions[1]);
    shape.axes.resize(extent.axes.size());
    for (std::size_t axis = 0; axis < extent.axes.size(); ++axis) widen(shape.axes[axis], extent.axes[axis], is_new);
    widen(shape.size, extent.size, is_new);
    shape.models.insert(extent.models.begin(), extent.models.end());
  }
  std::string text;
  for (const auto& [key, shape] : shapes) text += line_of(operation, key, shape);
  return text;
}

std::vector<std::string> thin_evidence(const KernelModel& model) {
  std::vector<std::string> lines;
  for (const auto* parts : {&model.engines, &model.collectives})
    for (const EngineModel& part : *parts) add_thin(part, lines);
  return lines;
}

}  // namespace moesim
