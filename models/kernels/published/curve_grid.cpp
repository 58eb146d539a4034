#include "models/kernels/published/curve_grid.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace moesim {

CurveGrid::CurveGrid(const KernelTable& table, const Gpu& gpu) : table_(&table), ceiling_(gpu, table) {
  const std::size_t axes = layout_of(table.operation).axes.size();
  for (std::size_t axis = 0; axis < places_.size(); ++axis) {
    auto& places = places_[axis];
    for (const Curve& curve : table.curves) places.push_back(axis < axes ? curve.at[axis] : 1);
    std::sort(places.begin(), places.end());
    places.erase(std::unique(places.begin(), places.end()), places.end());
  }
  curves_.assign(places_[0].size() * places_[1].size(), -1);
  const auto index = [&](std::size_t axis, const Curve& curve) {
    if (axis >= axes) return std::ptrdiff_t{0};
    return std::lower_bound(places_[axis].begin(), places_[axis].end(), curve.at[axis]) - places_[axis].begin();
  };
  for (std::size_t c = 0; c < table.curves.size(); ++c) {
    const auto cell =
        index(0, table.curves[c]) * static_cast<std::ptrdiff_t>(places_[1].size()) + index(1, table.curves[c]);
    curves_[static_cast<std::size_t>(cell)] = static_cast<int>(c);
  }
}

CurveGrid::Bracket CurveGrid::bracket(std::size_t axis, double place) const {
  const auto& places = places_[axis];
  if (place <= places.front()) return {0, 0, 0, place < places.front()};
  if (place >= places.back()) return {places.size() - 1, places.size() - 1, 0, place > places.back()};
  const auto high = static_cast<std::size_t>(std::upper_bound(places.begin(), places.end(), place) - places.begin());
  if (places[high - 1] == place) return {high - 1, high - 1, 0, false};
  return {high - 1, high, std::log(place / places[high - 1]) / std::log(places[high] / places[high - 1]), false};
}

int CurveGrid::curve_at(std::size_t first, std::size_t second) const {
  return curves_[first * places_[1].size() + second];
}

double CurveGrid::along(const Curve& curve, double size, bool& outside) const {
  const double last = curve.size.back();
  if (padded_size(curve, size) > last) {
    outside = true;
    return curve.microseconds.back() * ceiling_.microseconds(curve.at, size) / ceiling_.microseconds(curve.at, last);
  }
  outside |= padded_size(curve, size) < curve.size.front();
  return interpolate(curve, size);
}

TableTime CurveGrid::blended(std::span<const double> at, double size, const std::array<int, 4>& curves,
                             const std::array<double, 4>& weights, Nearness nearness) const {
  double sum = 0, weight = 0;
  bool outside = false;
  for (std::size_t i = 0; i < curves.size(); ++i) {
    if (curves[i] < 0 || weights[i] <= 0) continue;
    const Curve& curve = table_->curves[static_cast<std::size_t>(curves[i])];
    sum += weights[i] * std::log(along(curve, size, outside) / ceiling_.microseconds(curve.at, size));
    weight += weights[i];
  }
  return {ceiling_.microseconds(at, size) * std::exp(sum / weight), outside ? Nearness::outside : nearness};
}

/// Of a place none of whose neighbours was measured: the nearest curve in logarithms.
TableTime CurveGrid::nearest(std::span<const double> at, double size) const {
  double least = std::numeric_limits<double>::infinity();
  int best = 0;
  for (std::size_t c = 0; c < table_->curves.size(); ++c) {
    double distance = 0;
    for (std::size_t axis = 0; axis < at.size(); ++axis)
      distance += std::abs(std::log(at[axis] / table_->curves[c].at[axis]));
    if (distance < least) {
      least = distance;
      best = static_cast<int>(c);
    }
  }
  return blended(at, size, {best, -1, -1, -1}, {1, 0, 0, 0}, Nearness::outside);
}

TableTime CurveGrid::time(std::span<const double> at, double size) const {
  const Bracket first = bracket(0, at[0]);
  const Bracket second = at.size() > 1 ? bracket(1, at[1]) : Bracket{};
  const std::array<int, 4> curves{curve_at(first.low, second.low), curve_at(first.low, second.high),
                                  curve_at(first.high, second.low), curve_at(first.high, second.high)};
  const std::array<double, 4> weights{(1 - first.share) * (1 - second.share), (1 - first.share) * second.share,
                                      first.share * (1 - second.share), first.share * second.share};
  const bool beyond = first.outside || second.outside;
  if (first.share == 0 && second.share == 0 && !beyond && curves[0] >= 0) {
    bool outside = false;
    const double microseconds = along(table_->curves[static_cast<std::size_t>(curves[0])], size, outside);
    return {microseconds, outside ? Nearness::outside : Nearness::inside};
  }
  bool any = false;
  for (std::size_t i = 0; i < curves.size(); ++i) any |= curves[i] >= 0 && weights[i] > 0;
  if (!any) return nearest(at, size);
  return blended(at, size, curves, weights, beyond ? Nearness::outside : Nearness::between);
}

}  // namespace moesim
