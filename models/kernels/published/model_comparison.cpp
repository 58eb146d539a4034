#include "models/kernels/published/model_comparison.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "models/kernels/profile_interpolation.hpp"
#include "models/units/error.hpp"

namespace moesim {
namespace {

using Place = std::vector<double>;
/// Curves of every kernel of one shape.
using Curves = std::map<Place, std::vector<const Curve*>>;
using Shapes = std::map<TableShape, Curves>;

Shapes shapes_of(const EngineModel& engine, KernelOperation operation) {
  Shapes shapes;
  for (const KernelTable& table : engine.tables)
    if (table.operation == operation)
      for (const Curve& curve : table.curves) shapes[{table.format, table.dimensions}][curve.at].push_back(&curve);
  return shapes;
}

/// Of the kernels that were measured there the fastest.
std::optional<double> fastest(const std::vector<const Curve*>& curves, double size) {
  std::optional<double> least;
  for (const Curve* curve : curves)
    if (size >= curve->size.front() && size <= curve->size.back())
      least = std::min(least.value_or(std::numeric_limits<double>::infinity()), interpolate(*curve, size));
  return least;
}

std::vector<double> ratios(const Curves& a, const Curves& b) {
  std::vector<double> made;
  for (const auto& [at, of_a] : a) {
    const auto found = b.find(at);
    if (found == b.end()) continue;
    std::set<double> sizes;
    for (const auto* curves : {&of_a, &found->second})
      for (const Curve* curve : *curves) sizes.insert(curve->size.begin(), curve->size.end());
    for (const double size : sizes) {
      const auto time_a = fastest(of_a, size), time_b = fastest(found->second, size);
      if (time_a && time_b) made.push_back(*time_b / *time_a);
    }
  }
  return made;
}

RatioSpread spread(const std::vector<double>& ratios) {
  if (ratios.empty()) return {};
  return {static_cast<int>(ratios.size()), quantile(ratios, 0.5), quantile(ratios, 0.1), quantile(ratios, 0.9)};
}

/// Nothing where neither has the operation.
std::optional<OperationComparison> compared(const EngineModel& a, const EngineModel& b, KernelOperation operation) {
  const Shapes of_a = shapes_of(a, operation), of_b = shapes_of(b, operation);
  if (of_a.empty() && of_b.empty()) return std::nullopt;
  OperationComparison made{operation, {}, {}, {}, {}};
  std::vector<double> all;
  for (const auto& [shape, curves] : of_a) {
    const auto found = of_b.find(shape);
    if (found == of_b.end()) {
      made.only_a.push_back(shape);
      continue;
    }
    const std::vector<double> own = ratios(curves, found->second);
    made.shapes.push_back({shape, spread(own)});
    all.insert(all.end(), own.begin(), own.end());
  }
  for (const auto& [shape, curves] : of_b)
    if (of_a.find(shape) == of_a.end()) made.only_b.push_back(shape);
  made.ratio = spread(all);
  return made;
}

EngineComparison compared(const EngineModel& a, const EngineModel& b) {
  EngineComparison made{fmt::format("{} {}", a.name, a.version), fmt::format("{} {}", b.name, b.version), {}};
  for (int i = 0; i < kKernelOperations; ++i)
    if (auto operation = compared(a, b, static_cast<KernelOperation>(i))) made.operations.push_back(*operation);
  return made;
}

const EngineModel* named(const std::vector<EngineModel>& engines, const std::string& name) {
  const auto found =
      std::find_if(engines.begin(), engines.end(), [&](const EngineModel& engine) { return engine.name == name; });
  return found == engines.end() ? nullptr : &*found;
}

std::vector<std::string> names_of(const std::vector<EngineModel>& engines) {
  std::vector<std::string> names;
  for (const EngineModel& engine : engines) names.push_back(engine.name);
  return names;
}

/// Those of the same name; what one alone has goes into `comparison`.
std::vector<EngineComparison> same_names(const std::vector<EngineModel>& a, const std::vector<EngineModel>& b,
                                         ModelComparison& comparison) {
  std::vector<EngineComparison> made;
  for (const EngineModel& engine : a) {
    if (const EngineModel* other = named(b, engine.name))
      made.push_back(compared(engine, *other));
    else
      comparison.only_a.push_back(engine.name);
  }
  for (const EngineModel& engine : b)
    if (!named(a, engine.name)) comparison.only_b.push_back(engine.name);
  return made;
}

}  // namespace

ModelComparison compare_models(const KernelModel& a, const KernelModel& b,
                               const std::pair<std::string, std::string>& engines) {
  ModelComparison made;
  if (!engines.first.empty()) {
    made.engines.push_back(
        compared(find_engine(a, engines.first, "--engines"), find_engine(b, engines.second, "--engines")));
    return made;
  }
  made.engines = same_names(a.engines, b.engines, made);
  made.collectives = same_names(a.collectives, b.collectives, made);
  if (made.engines.empty() && made.collectives.empty())
    throw InputError{"profile compare",
                     fmt::format("{} with {}, {} with {}", a.name, fmt::join(names_of(a.engines), ", "), b.name,
                                 fmt::join(names_of(b.engines), ", ")),
                     "an engine of the same name in both, or --engines A,B"};
  return made;
}

}  // namespace moesim
