#pragma once
// A measured time by a growing size: monotone, and as few knots as say the same.

#include <vector>

namespace moesim {

/// Piecewise linear between its knots, in whole tiles where there are some.
struct Curve {
  std::vector<double> at;            ///< where it lies on its table's axes
  std::vector<double> size;          ///< [knots], rising
  std::vector<double> microseconds;  ///< [knots], above zero, never falling
  int tile = 1;                      ///< a size is taken as the next multiple of this: kernels pad to it

  bool operator==(const Curve&) const = default;
};

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
