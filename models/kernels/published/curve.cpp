#include "models/kernels/published/curve.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <stdexcept>
#include <utility>

namespace moesim {
namespace {

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>((values.size() - 1) / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

double padded(double size, int tile) {
  return tile == 1 ? size : std::ceil(size / tile) * tile;
}

/// How far each point between the ends is from what the others say there: mean |logarithm|, outliers capped.
double told_by_neighbours(const std::vector<CurvePoint>& sorted, int tile) {
  double sum = 0;
  for (std::size_t i = 1; i + 1 < sorted.size(); ++i) {
    const CurvePoint &left = sorted[i - 1], &right = sorted[i + 1];
    const double at = padded(sorted[i].size, tile), low = padded(left.size, tile), high = padded(right.size, tile);
    const double share = high > low ? (at - low) / (high - low) : 0.5;
    const double told = left.microseconds + share * (right.microseconds - left.microseconds);
    sum += std::min(1.0, std::abs(std::log(told / sorted[i].microseconds)));
  }
  return sum;
}

int best_tile(const std::vector<CurvePoint>& sorted, const std::vector<int>& tiles) {
  int best = tiles.front();
  double least = told_by_neighbours(sorted, best);
  for (const int tile : tiles) {
    const double cost = told_by_neighbours(sorted, tile);
    if (cost >= least) continue;
    least = cost;
    best = tile;
  }
  return best;
}

/// Neighbours with one value.
struct Pool {
  std::vector<double> values;
  std::size_t sizes = 0;
  double level = 0;
};

/// One level per distinct size; `sizes` gets those.
std::vector<double> monotone_levels(const std::vector<CurvePoint>& sorted, std::vector<double>& sizes) {
  std::vector<Pool> pools;
  for (std::size_t i = 0; i < sorted.size();) {
    Pool pool;
    const double size = sorted[i].size;
    for (; i < sorted.size() && sorted[i].size == size; ++i) pool.values.push_back(sorted[i].microseconds);
    pool.values = {median(pool.values)};
    pool.level = pool.values.front();
    pool.sizes = 1;
    sizes.push_back(size);
    while (!pools.empty() && pools.back().level > pool.level) {
      pool.values.insert(pool.values.end(), pools.back().values.begin(), pools.back().values.end());
      pool.sizes += pools.back().sizes;
      pool.level = median(pool.values);
      pools.pop_back();
    }
    pools.push_back(std::move(pool));
  }
  std::vector<double> levels;
  for (const Pool& pool : pools) levels.insert(levels.end(), pool.sizes, pool.level);
  return levels;
}

/// How far in all the chord from knot to knot is off the levels between, each as a share of it; nothing where one is
/// off by more than the tolerance.
std::optional<double> miss_of_chord(const std::vector<double>& size, const std::vector<double>& level, std::size_t from,
                                    std::size_t to, double tolerance) {
  const double slope = (level[to] - level[from]) / (size[to] - size[from]);
  double sum = 0;
  for (std::size_t i = from + 1; i < to; ++i) {
    const double miss = std::abs((level[from] + slope * (size[i] - size[from])) / level[i] - 1);
    if (miss > tolerance) return std::nullopt;
    sum += miss;
  }
  return sum;
}

/// Chords up to a level, and what they are off in all.
struct Path {
  std::size_t chords = 0;
  double miss = 0;
  std::size_t before = 0;  ///< the knot before
};

/// The fewest levels whose chords tell all others, first and last among them; of equally few those that tell them best.
std::vector<std::size_t> fewest_knots(const std::vector<double>& size, const std::vector<double>& level,
                                      double tolerance) {
  std::vector<Path> best(size.size());
  for (std::size_t to = 1; to < size.size(); ++to) {
    best[to].chords = size.size();
    for (std::size_t from = 0; from < to; ++from) {
      const Path& start = best[from];
      if (start.chords + 1 > best[to].chords) continue;
      const auto miss = miss_of_chord(size, level, from, to, tolerance);
      if (miss && std::pair{start.chords + 1, start.miss + *miss} < std::pair{best[to].chords, best[to].miss})
        best[to] = {start.chords + 1, start.miss + *miss, from};
    }
  }
  std::vector<std::size_t> knots{size.size() - 1};
  while (knots.back() != 0) knots.push_back(best[knots.back()].before);
  std::reverse(knots.begin(), knots.end());
  return knots;
}

double chord(const Curve& curve, std::size_t left, std::size_t right, double size) {
  if (left == right) return curve.microseconds[left];
  const double share = (size - curve.size[left]) / (curve.size[right] - curve.size[left]);
  return curve.microseconds[left] + share * (curve.microseconds[right] - curve.microseconds[left]);
}

/// Knots of one kind around a size: the last at or below it, the first at or above it; none: past the end.
struct Around {
  std::size_t below, above;
};

/// `right`: the first knot above the size.
Around around(const Curve& curve, double size, std::size_t right, bool kind) {
  const auto& x = curve.size;
  std::size_t below = right, above = right;  // below: one more than the knot's index
  while (below > 0 && is_aligned(x[below - 1], curve.alignment) != kind) --below;
  if (below > 0 && x[below - 1] == size) return {below - 1, below - 1};
  while (above < x.size() && is_aligned(x[above], curve.alignment) != kind) ++above;
  return {below > 0 ? below - 1 : x.size(), above};
}

/// Along the knots of the size's own kind, between the curve's ends.
double along_own_kind(const Curve& curve, double size, std::size_t right) {
  const std::size_t none = curve.size.size();
  const bool kind = is_aligned(size, curve.alignment);
  const Around own = around(curve, size, right, kind);
  if (own.below < none && own.above < none) return chord(curve, own.below, own.above, size);
  const Around others = around(curve, size, right, !kind);
  if (others.below == none || others.above == none) return chord(curve, right - 1, right, size);
  const double other = chord(curve, others.below, others.above, size);
  const std::size_t last = own.below < none ? own.below : own.above;
  if (last == none) return other;
  const Around beside = around(curve, curve.size[last], last, !kind);
  if (beside.below == none || beside.above == none) return chord(curve, right - 1, right, size);
  const double ratio = curve.microseconds[last] / chord(curve, beside.below, beside.above, curve.size[last]);
  return other * (kind ? std::min(1.0, ratio) : std::max(1.0, ratio));
}

}  // namespace

double padded_size(const Curve& curve, double size) {
  return padded(size, curve.tile);
}

double interpolate(const Curve& curve, double size) {
  std::size_t right = 0;
  return interpolate(curve, size, right);
}

double interpolate(const Curve& curve, double given, std::size_t& right) {
  const auto& x = curve.size;
  const double size = padded(given, curve.tile);
  if (size <= x.front()) return curve.microseconds.front();
  if (size >= x.back()) return curve.microseconds.back();
  if (right < 1 || right >= x.size() || size < x[right - 1] || size >= x[right])
    right = static_cast<std::size_t>(std::upper_bound(x.begin(), x.end(), size) - x.begin());
  return curve.alignment == 1 ? chord(curve, right - 1, right, size) : along_own_kind(curve, size, right);
}

Curve fit_curve(std::vector<double> at, std::vector<CurvePoint> points, double tolerance,
                const std::vector<int>& tiles) {
  if (points.empty()) throw std::invalid_argument{"a curve needs a point"};
  std::sort(points.begin(), points.end(), [](const CurvePoint& a, const CurvePoint& b) { return a.size < b.size; });
  const int tile = best_tile(points, tiles);
  for (CurvePoint& point : points) point.size = padded(point.size, tile);
  std::vector<double> sizes;
  const std::vector<double> levels = monotone_levels(points, sizes);
  Curve curve{std::move(at), {}, {}, tile, 1};
  for (const std::size_t knot : fewest_knots(sizes, levels, tolerance)) {
    curve.size.push_back(sizes[knot]);
    curve.microseconds.push_back(levels[knot]);
  }
  return curve;
}

}  // namespace moesim
