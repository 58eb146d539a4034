#pragma once
// What the measured points around a place and a size say of it: how a row that was held out is told.

#include <map>
#include <vector>

#include "models/kernels/published/curve.hpp"

namespace moesim {

/// Microseconds by place on the axes and size; 0: not measured, to be told.
using MeasuredGrid = std::map<std::vector<double>, std::map<double, double>>;

/// The points of one table on the grid of all its places and sizes. At a point of the grid every axis, and the size,
/// has a next measured point below and above; each pair of axes has up to four corners. Those say:
///
///   chords    linear between below and above along one axis (along the size among those of the same alignment)
///   corners   t(a', b) t(a, b') / t(a', b'): from b' to b the time changes at a as it does at a'
///
/// and the median of all is told: kernels step where their neighbours step, and no single point can mislead it.
class Neighbours {
public:
  /// alignment: as in Curve.
  Neighbours(const MeasuredGrid& points, int alignment);

  /// At a place and a size of the grid, not from what was measured right there. Throws std::out_of_range for others,
  /// and for a point that has no measured neighbours at all.
  double told(const std::vector<double>& at, double size) const;

private:
  using Cell = std::vector<std::size_t>;  ///< [axes, and the size]
  struct Ends {
    std::size_t below, above;  ///< coordinates along one axis; none_: nothing measured
  };
  double at(const Cell& cell) const;
  double moved(Cell cell, std::size_t axis, std::size_t to) const;
  Ends around(const Cell& cell, std::size_t axis, bool same_kind) const;
  void add_chord(const Cell& cell, std::size_t axis, std::vector<double>& estimates) const;
  void add_corners(const Cell& cell, std::size_t a, std::size_t b, std::vector<double>& estimates) const;

  static constexpr std::size_t none_ = ~std::size_t{0};
  int alignment_;
  std::vector<std::vector<double>> places_;  ///< of every axis and of the size, rising
  std::vector<double> microseconds_;         ///< [places...], 0: not measured
};

/// Of 1, 2, 4, 8 and 16 the alignment whose chords along the size tell the points best, in the mean.
int best_alignment(const MeasuredGrid& points);

}  // namespace moesim
