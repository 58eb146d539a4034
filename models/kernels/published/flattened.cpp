#include "models/kernels/published/flattened.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace moesim {
namespace {

/// More than the steps of a table that keeps every point.
constexpr double kTold = 0.01;

using BySize = std::map<double, std::vector<const MeasuredPoint*>>;

const MeasuredPoint& median(std::vector<const MeasuredPoint*> equal) {
  const auto middle = equal.begin() + static_cast<std::ptrdiff_t>((equal.size() - 1) / 2);
  std::nth_element(equal.begin(), middle, equal.end(),
                   [](const auto* a, const auto* b) { return a->microseconds < b->microseconds; });
  return **middle;
}

/// Those of one place whose time is below an earlier or above a later one's.
std::vector<const MeasuredPoint*> in_a_fall(const BySize& sizes) {
  std::vector<const MeasuredPoint*> rising, found;
  for (const auto& [size, equal] : sizes) rising.push_back(&median(equal));
  std::vector<double> least_after(rising.size() + 1, std::numeric_limits<double>::infinity());
  for (std::size_t i = rising.size(); i-- > 0;) least_after[i] = std::min(least_after[i + 1], rising[i]->microseconds);
  double most_before = 0;
  for (std::size_t i = 0; i < rising.size(); ++i) {
    const double time = rising[i]->microseconds;
    if (time < most_before || time > least_after[i + 1]) found.push_back(rising[i]);
    most_before = std::max(most_before, time);
  }
  return found;
}

void judge(const KernelTable& table, const Curve& curve, const BySize& sizes, Flattened& made) {
  for (const MeasuredPoint* point : in_a_fall(sizes)) {
    const double told = interpolate(curve, point->size), off = std::abs(told / point->microseconds - 1);
    if (off > kTold) made.add({1, off, table.operation, point->line, point->microseconds, told});
  }
}

}  // namespace

void Flattened::add(const Flattened& other) {
  const int all = points + other.points;
  if (other.most > most) *this = other;
  points = all;
}

Flattened flattened(const MeasuredPoints& points, const EngineModel& engine) {
  Flattened made;
  for (const KernelTable& table : engine.tables) {
    const auto of = points.find({table.operation, table.kernel, table.format, table.dimensions});
    if (of == points.end()) continue;
    std::map<std::vector<double>, BySize> places;
    for (const MeasuredPoint& point : of->second)
      if (point.skew == 0) places[point.at][point.size].push_back(&point);
    for (const Curve& curve : table.curves)
      if (const auto sizes = places.find(curve.at); sizes != places.end()) judge(table, curve, sizes->second, made);
  }
  return made;
}

}  // namespace moesim
