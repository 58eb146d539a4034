#include "models/kernels/published/curve_grid.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace moesim {

CurveGrid::CurveGrid(const KernelTable& table, const Gpu& gpu)
    : table_(&table), ceiling_(gpu, table), linear_(table.operation == KernelOperation::gemm) {
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

double CurveGrid::share(double place, double low, double high) const {
  return linear_ ? (place - low) / (high - low) : std::log(place / low) / std::log(high / low);
}

CurveGrid::Bracket CurveGrid::bracket(std::size_t axis, double place) const {
  const auto& places = places_[axis];
  if (place <= places.front()) return {0, 0, 0, place < places.front()};
  if (place >= places.back()) return {places.size() - 1, places.size() - 1, 0, place > places.back()};
  const auto high = static_cast<std::size_t>(std::upper_bound(places.begin(), places.end(), place) - places.begin());
  if (places[high - 1] == place) return {high - 1, high - 1, 0, false};
  return {high - 1, high, share(place, places[high - 1], places[high]), false};
}

int CurveGrid::curve_at(std::size_t first, std::size_t second) const {
  return curves_[first * places_[1].size() + second];
}

/// Raises the nearness to that of the size on the curve.
double CurveGrid::along(const Curve& curve, double size, Nearness& nearness) const {
  const double last = curve.size.back(), padded = padded_size(curve, size);
  if (padded > last) {
    nearness = Nearness::outside;
    return curve.microseconds.back() * ceiling_.microseconds(curve.at, size) / ceiling_.microseconds(curve.at, last);
  }
  std::size_t right = 0;
  const double microseconds = interpolate(curve, size, right);
  const Nearness own = padded < curve.size.front()                     ? Nearness::outside
                       : right == 0 || curve.size[right - 1] == padded ? Nearness::inside
                                                                       : Nearness::between;
  nearness = std::max(nearness, own);
  return microseconds;
}

/// Adds the next curves on either side of a place along `axis`, with the other axis at its place number `fixed`.
bool CurveGrid::add_neighbours(Mix& mix, std::size_t axis, std::size_t fixed, double place) const {
  const auto& places = places_[axis];
  const auto curve = [&](std::size_t i) { return axis == 0 ? curve_at(i, fixed) : curve_at(fixed, i); };
  std::size_t low = places.size(), high = places.size();
  for (std::size_t i = 0; i < places.size() && high == places.size(); ++i) {
    if (curve(i) < 0) continue;
    (places[i] < place ? low : high) = i;
  }
  if (low == places.size() || high == places.size()) return false;
  const double of_high = share(place, places[low], places[high]);
  const std::size_t slot = 2 * axis;
  mix.curves[slot] = curve(low);
  mix.curves[slot + 1] = curve(high);
  mix.weights[slot] = 1 - of_high;
  mix.weights[slot + 1] = of_high;
  return true;
}

/// Along the axes whose other place was measured; else the corners around; else the nearest curve.
CurveGrid::Mix CurveGrid::mix(std::span<const double> at, const Bracket& first, const Bracket& second) const {
  Mix made;
  bool found = first.share == 0 && at.size() > 1 && add_neighbours(made, 1, first.low, at[1]);
  if (second.share == 0) found |= add_neighbours(made, 0, second.low, at[0]);
  if (found) return made;
  made.curves = {curve_at(first.low, second.low), curve_at(first.low, second.high), curve_at(first.high, second.low),
                 curve_at(first.high, second.high)};
  made.weights = {(1 - first.share) * (1 - second.share), (1 - first.share) * second.share,
                  first.share * (1 - second.share), first.share * second.share};
  double weight = 0;
  for (std::size_t i = 0; i < made.curves.size(); ++i) {
    if (made.curves[i] < 0) made.weights[i] = 0;
    weight += made.weights[i];
  }
  if (weight == 0) return {{nearest(at), -1, -1, -1}, {1, 0, 0, 0}};
  for (double& of : made.weights) of /= weight;
  return made;
}

TableTime CurveGrid::blended(std::span<const double> at, double size, const Mix& mix, Nearness nearness) const {
  const bool linear = linear_ && nearness == Nearness::between;
  double sum = 0, weight = 0;
  for (std::size_t i = 0; i < mix.curves.size(); ++i) {
    if (mix.curves[i] < 0 || mix.weights[i] <= 0) continue;
    const Curve& curve = table_->curves[static_cast<std::size_t>(mix.curves[i])];
    const double time = along(curve, size, nearness);
    sum += mix.weights[i] * (linear ? time : std::log(time / ceiling_.microseconds(curve.at, size)));
    weight += mix.weights[i];
  }
  return {linear ? sum / weight : ceiling_.microseconds(at, size) * std::exp(sum / weight), nearness};
}

/// Of all curves the nearest in logarithms.
int CurveGrid::nearest(std::span<const double> at) const {
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
  return best;
}

TableTime CurveGrid::time(std::span<const double> at, double size) const {
  const Bracket first = bracket(0, at[0]);
  const Bracket second = at.size() > 1 ? bracket(1, at[1]) : Bracket{};
  const bool beyond = first.outside || second.outside;
  const int measured = first.share == 0 && second.share == 0 && !beyond ? curve_at(first.low, second.low) : -1;
  if (measured >= 0) {
    Nearness nearness = Nearness::inside;
    const double microseconds = along(table_->curves[static_cast<std::size_t>(measured)], size, nearness);
    return {microseconds, nearness};
  }
  const Mix curves = mix(at, first, second);
  const bool alone = std::count_if(curves.weights.begin(), curves.weights.end(), [](double w) { return w == 1; }) > 0;
  return blended(at, size, curves, beyond || alone ? Nearness::outside : Nearness::between);
}

}  // namespace moesim
