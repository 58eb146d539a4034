#pragma once
// Which rows of a measured table are fitted, and which judge the fit.

#include <cstdint>
#include <map>
#include <vector>

#include "models/kernels/published/measured_points.hpp"

namespace moesim {

/// Of a table's name and a place on its curves; size 0: of the whole curve.
std::uint64_t hash_of(const TableKey& key, const std::vector<double>& at, double size);

/// One table's points: what is fitted, a fifth by hash that is held out between the ends of its curves, what is skewed.
struct SplitPoints {
  std::map<std::vector<double>, std::vector<const MeasuredPoint*>> fitted;  ///< by place
  std::vector<const MeasuredPoint*> held_out;
  std::vector<const MeasuredPoint*> skewed_fitted, skewed;  ///< for the law of tiles, a fifth by hash; judging

  /// Of the balanced ones.
  std::size_t count() const;
};

/// Their sizes and times.
std::vector<CurvePoint> curve_points(const std::vector<const MeasuredPoint*>& points);

SplitPoints split_points(const TableKey& key, const std::vector<MeasuredPoint>& points);

}  // namespace moesim
