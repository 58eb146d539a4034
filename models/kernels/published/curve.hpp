#pragma once
// A measured time by a growing size: monotone, and as few knots as say the same.

#include <vector>

namespace moesim {

/// Piecewise linear between its knots.
struct Curve {
  std::vector<double> at;            ///< where it lies on its table's axes
  std::vector<double> size;          ///< [knots], rising
  std::vector<double> microseconds;  ///< [knots], above zero, never falling

  bool operator==(const Curve&) const = default;
};

/// One measurement: a size, and microseconds.
struct CurvePoint {
  double size = 0;
  double microseconds = 0;
};

/// Microseconds at `size`; outside the knots, those of the nearest one.
double interpolate(const Curve& curve, double size);

/// The monotone curve closest to the points: medians of equal sizes, then pools of neighbours that fall, each at its
/// median (isotonic regression in the sense of absolute errors, so that one outlier cannot lift what follows it).
/// Knots that the others predict within `tolerance` of the value are left out. Throws std::invalid_argument for no
/// points.
Curve fit_curve(std::vector<double> at, std::vector<CurvePoint> points, double tolerance);

}  // namespace moesim
