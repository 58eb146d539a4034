#pragma once
// A measured time by a growing size: monotone, and as few knots as say the same.

#include <cstdint>
#include <vector>

namespace moesim {

/// Piecewise linear between its knots, in whole tiles where there are some.
struct Curve {
  std::vector<double> at;            ///< where it lies on its table's axes
  std::vector<double> size;          ///< [knots], rising
  std::vector<double> microseconds;  ///< [knots], above zero; a fitted curve never falls, a measured grid may
  int tile = 1;                      ///< a size is taken as the next multiple of this: kernels pad to it
  /// Knots at multiples of this are joined to each other, and so are the others: kernels take another path for sizes
  /// that do not align. Beyond the last knot of its kind a size keeps that knot's ratio to the other kind,
  /// where no size that aligns is slower than one that does not.
  int alignment = 1;

  bool operator==(const Curve&) const = default;
};

/// A whole multiple of the alignment. Sizes are below 2^63.
inline bool is_aligned(double size, int alignment) {
  const double parts = size / alignment;
  return parts == static_cast<double>(static_cast<std::int64_t>(parts));
}

/// One measurement: a size, and microseconds.
struct CurvePoint {
  double size = 0;
  double microseconds = 0;
};

/// The size that the curve sees: whole tiles.
double padded_size(const Curve& curve, double size);

/// Microseconds at `size`; outside the knots, those of the nearest one.
double interpolate(const Curve& curve, double size);
/// The same for calls that stay in one segment: `right` is the knot that ended the last one, and then this one.
double interpolate(const Curve& curve, double size, std::size_t& right);

/// The monotone curve closest to the points: medians of equal sizes, then pools of neighbours that fall, each at its
/// median (isotonic regression in the sense of absolute errors, so that one outlier cannot lift what follows it).
/// Of these as few knots as tell all others within `tolerance` of their value, and of equally few the best. Of the
/// tiles, that one in which each point is told best by its neighbours. Throws std::invalid_argument for no points.
Curve fit_curve(std::vector<double> at, std::vector<CurvePoint> points, double tolerance,
                const std::vector<int>& tiles = {1});

}  // namespace moesim
