#include <algorithm>
#include <cmath>
#include <set>

#include <fmt/format.h>

#include "models/kernels/published/curve_grid.hpp"
#include "models/kernels/published/expert_fit.hpp"
#include "models/kernels/published/grid_table.hpp"
#include "models/kernels/published/tile_fit.hpp"
#include "models/units/error.hpp"

namespace moesim {
namespace {

/// Knots that the others predict to within this are not stored. Neighbouring sizes of dense products differ by as much
/// from run to run.
double knot_tolerance(KernelOperation operation) {
  return operation == KernelOperation::gemm ? 0.09 : 0.03;
}

/// Rows that dense products are padded to; tried on every curve.
const std::vector<int> kGemmTiles{1, 16, 64, 128};

double median(std::vector<CurvePoint> equal) {
  const auto middle = equal.begin() + static_cast<std::ptrdiff_t>((equal.size() - 1) / 2);
  std::nth_element(equal.begin(), middle, equal.end(),
                   [](const CurvePoint& a, const CurvePoint& b) { return a.microseconds < b.microseconds; });
  return middle->microseconds;
}

/// Medians of equal points. What is held out is there without its time, or with it.
MeasuredGrid measured_grid(const SplitPoints& points, bool all) {
  std::map<std::vector<double>, std::map<double, std::vector<CurvePoint>>> equal;
  for (const auto& [at, measured] : points.fitted)
    for (const MeasuredPoint* point : measured) equal[at][point->size].push_back({point->size, point->microseconds});
  for (const MeasuredPoint* point : points.held_out) {
    auto& own = equal[point->at][point->size];
    if (all) own.push_back({point->size, point->microseconds});
  }
  MeasuredGrid grid;
  for (const auto& [at, sizes] : equal)
    for (const auto& [size, points_there] : sizes) grid[at][size] = points_there.empty() ? 0 : median(points_there);
  return grid;
}

/// A table of so many points is kept point by point: there, neighbours tell better than a curve of few knots does.
constexpr std::size_t kManyPoints = 500;

/// `all`: with the rows that are held out.
KernelTable fitted_table(const TableKey& key, const SplitPoints& points, bool all) {
  KernelTable table{key.operation, key.kernel, key.format, key.dimensions, {}};
  if (points.count() >= kManyPoints) return grid_table(std::move(table), measured_grid(points, all));
  for (const auto& [at, measured] : points.fitted) {
    const bool tiled = key.operation == KernelOperation::gemm;
    table.curves.push_back(
        fit_curve(at, curve_points(measured), knot_tolerance(key.operation), tiled ? kGemmTiles : std::vector<int>{1}));
    for (double& microseconds : table.curves.back().microseconds) microseconds = three_digits(microseconds);
  }
  return table;
}

/// Collects what the dense tables of an engine say about rows that they never saw.
class DenseJudge {
public:
  DenseJudge(const Gpu& gpu, Verdicts& verdicts) : gpu_{gpu}, verdicts_{verdicts} {}

  void inside(const KernelTable& fitted, const SplitPoints& points) {
    const CurveGrid grid{fitted, gpu_};
    for (const MeasuredPoint* point : points.held_out)
      verdicts_.add(fitted.operation, "inside", "roofline", grid.time(point->at, point->size).microseconds,
                    grid.ceiling().microseconds(point->at, point->size), point->microseconds);
  }

  /// A tenth of the curves taken out, whole, but none at an end of an axis.
  void between(const TableKey& key, const KernelTable& fitted, const SplitPoints& points) {
    std::vector<std::set<double>> places(fitted.curves.front().at.size());
    for (const Curve& curve : fitted.curves)
      for (std::size_t axis = 0; axis < places.size(); ++axis) places[axis].insert(curve.at[axis]);
    const auto taken_out = [&](const std::vector<double>& at) {
      for (std::size_t axis = 0; axis < at.size(); ++axis)
        if (at[axis] == *places[axis].begin() || at[axis] == *places[axis].rbegin()) return false;
      return hash_of(key, at, 0) % 10 == 0;
    };
    KernelTable rest = fitted;
    std::erase_if(rest.curves, [&](const Curve& curve) { return taken_out(curve.at); });
    const CurveGrid grid{rest, gpu_};
    for (const auto& [at, measured] : points.fitted) {
      if (!taken_out(at)) continue;
      for (const MeasuredPoint* point : measured)
        verdicts_.add(fitted.operation, "between", "roofline", grid.time(at, point->size).microseconds,
                      grid.ceiling().microseconds(at, point->size), point->microseconds);
    }
  }

  /// A tenth of the sizes taken out of all curves, but for the ends of each: sizes that nobody measured.
  void between_sizes(const TableKey& key, const KernelTable& fitted, const SplitPoints& points) {
    const auto taken_out = [&](double size) { return hash_of(key, {}, size) % 10 == 0; };
    KernelTable rest = fitted;
    for (Curve& curve : rest.curves) {
      Curve made{curve.at, {}, {}, curve.tile, curve.alignment};
      for (std::size_t i = 0; i < curve.size.size(); ++i) {
        if (i > 0 && i + 1 < curve.size.size() && taken_out(curve.size[i])) continue;
        made.size.push_back(curve.size[i]);
        made.microseconds.push_back(curve.microseconds[i]);
      }
      curve = std::move(made);
    }
    const CurveGrid grid{rest, gpu_};
    for (const auto& [at, measured] : points.fitted)
      for (const MeasuredPoint* point : measured) {
        const TableTime told = grid.time(at, point->size);
        if (told.nearness == Nearness::between)
          verdicts_.add(fitted.operation, "between", "roofline", told.microseconds,
                        grid.ceiling().microseconds(at, point->size), point->microseconds);
      }
  }

private:
  const Gpu& gpu_;
  Verdicts& verdicts_;
};

}  // namespace

void PointStore::add(const TableKey& key, const MeasuredPoint& point, std::string identity, const std::string& place) {
  const auto [known, is_new] = known_.try_emplace(std::move(identity), point.microseconds);
  const double apart = known->second / point.microseconds;
  if (!is_new && (apart > apart_ || apart < 1 / apart_))
    throw InputError{place,
                     fmt::format("{:g} us, but the same point is {:g} us above", point.microseconds, known->second),
                     fmt::format("times of one point that agree to a factor of {:g}", apart_)};
  points_[key].push_back(point);
}

namespace {

/// A table of experts, which lies in the engine at a place.
struct ExpertsOfEngine {
  std::size_t place = 0;
  SplitPoints points;
  FittedExperts fitted;
};

/// One law of tiles for all tables of a kernel and format; then what the skewed rows that it never saw say.
void fit_and_judge(std::vector<ExpertsOfEngine>& all, const Gpu& gpu, EngineModel& engine, Verdicts& verdicts) {
  PowerLawBatches batches;
  std::map<std::pair<std::string, NumberFormat>, std::vector<TableOfKernel>> kernels;
  for (const ExpertsOfEngine& of : all)
    kernels[{of.fitted.table.kernel, of.fitted.table.format}].push_back({&of.fitted, &of.points});
  std::map<std::pair<std::string, NumberFormat>, TileLaw> laws;
  for (const auto& [kernel, tables] : kernels) laws[kernel] = fit_tiles(tables, gpu, batches);
  for (ExpertsOfEngine& of : all) {
    of.fitted.table.tiles = laws.at({of.fitted.table.kernel, of.fitted.table.format});
    judge_experts(of.fitted, of.points, gpu, batches, verdicts);
    engine.tables[of.place] = std::move(of.fitted.table);
  }
}

}  // namespace

void fit_engine(const MeasuredPoints& points, const Gpu& gpu, EngineModel& engine) {
  Verdicts verdicts;
  DenseJudge judge{gpu, verdicts};
  std::vector<ExpertsOfEngine> experts;
  for (const auto& [key, measured] : points) {
    SplitPoints parts = split_points(key, measured);
    if (parts.fitted.empty()) continue;
    if (is_experts(key.operation)) {
      FittedExperts fitted = fit_experts(key, parts, gpu, knot_tolerance(key.operation));
      experts.push_back({engine.tables.size(), std::move(parts), std::move(fitted)});
      engine.tables.emplace_back();
      continue;
    }
    const KernelTable judged = fitted_table(key, parts, false);
    judge.inside(judged, parts);
    judge.between(key, judged, parts);
    if (parts.count() >= kManyPoints) judge.between_sizes(key, judged, parts);
    engine.tables.push_back(fitted_table(key, parts, true));
  }
  fit_and_judge(experts, gpu, engine, verdicts);
  engine.errors = verdicts.errors();
}

}  // namespace moesim
