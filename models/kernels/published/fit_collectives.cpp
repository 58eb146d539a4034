#include <algorithm>
#include <limits>
#include <set>

#include <fmt/format.h>

#include "models/kernels/published/import_collectives.hpp"
#include "models/kernels/published/judged_ratios.hpp"

namespace moesim {
namespace {

/// Knots that the others tell to within this are not stored: half of what two runs of NCCL differ by.
constexpr double kKnotTolerance = 0.02;

using CurvesPoints = std::map<std::vector<double>, std::vector<CurvePoint>>;

/// Latency and bandwidth: microseconds = alpha + beta size, by least squares of the relative error.
struct Line {
  double alpha = 0, beta = 0;

  explicit Line(const std::vector<CurvePoint>& points) {
    double one = 0, size = 0, square = 0, of_one = 0, of_size = 0;
    for (const CurvePoint& point : points) {
      const double weight = 1 / point.microseconds, x = point.size * weight;
      one += weight * weight;
      size += weight * x;
      square += x * x;
      of_one += weight;
      of_size += x;
    }
    const double determinant = one * square - size * size;
    if (determinant <= 1e-12 * one * square) {  // one size: a constant
      alpha = of_one / one;
      return;
    }
    alpha = (of_one * square - of_size * size) / determinant;
    beta = (one * of_size - size * of_one) / determinant;
  }
  double operator()(double size) const { return alpha + beta * size; }
};

/// Every size between the ends in turn, from a curve through the others.
void leave_out_sizes(const TableKey& key, const std::vector<CurvePoint>& points, Verdicts& verdicts) {
  const std::string regime = fmt::format("{} ranks", key.dimensions.front());
  std::set<double> sizes;
  for (const CurvePoint& point : points) sizes.insert(point.size);
  for (const double size : sizes) {
    if (size == *sizes.begin() || size == *sizes.rbegin()) continue;
    std::vector<CurvePoint> others = points;
    std::erase_if(others, [&](const CurvePoint& point) { return point.size == size; });
    const Line line{others};
    const Curve curve = fit_curve({}, std::move(others), kKnotTolerance);
    for (const CurvePoint& point : points) {
      if (point.size != size) continue;
      verdicts.add(key.operation, regime, "latency and bandwidth", interpolate(curve, size), line(size),
                   point.microseconds);
    }
  }
}

}  // namespace

void fit_collectives(const MeasuredPoints& points, EngineModel& library) {
  Verdicts verdicts;
  for (const auto& [key, measured] : points) {
    CurvesPoints curves;
    for (const MeasuredPoint& point : measured) curves[point.at].push_back({point.size, point.microseconds});
    KernelTable table{key.operation, key.kernel, key.format, key.dimensions, {}};
    for (const auto& [at, of_curve] : curves) {
      table.curves.push_back(fit_curve(at, of_curve, kKnotTolerance));
      for (double& microseconds : table.curves.back().microseconds) microseconds = three_digits(microseconds);
      leave_out_sizes(key, of_curve, verdicts);
    }
    library.tables.push_back(std::move(table));
  }
  count_points(points, library);
  library.errors = verdicts.errors();
}

}  // namespace moesim
