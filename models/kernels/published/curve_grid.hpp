#pragma once
// A table prepared for looking up: curves on a grid of at most two axes, blended by how near they come to the ceiling.

#include <array>
#include <span>
#include <vector>

#include "models/kernels/published/kernel_ceiling.hpp"
#include "models/kernels/published/kernel_model.hpp"

namespace moesim {

/// How far a lookup is from what was measured.
enum class Nearness {
  inside,   ///< on a curve, between its knots
  between,  ///< between curves
  outside   ///< beyond the last curve or knot: its utilisation of the ceiling is held
};

struct TableTime {
  double microseconds = 0;
  Nearness nearness = Nearness::inside;
};

/// Between curves the share of the ceiling that they reach is blended (in logarithms of place and share).
class CurveGrid {
public:
  /// The table must outlive the grid.
  CurveGrid(const KernelTable& table, const Gpu& gpu);

  /// at [axes], above zero.
  TableTime time(std::span<const double> at, double size) const;

  const KernelTable& table() const { return *table_; }
  const KernelCeiling& ceiling() const { return ceiling_; }

private:
  struct Bracket {
    std::size_t low = 0, high = 0;
    double share = 0;  ///< of high
    bool outside = false;
  };
  Bracket bracket(std::size_t axis, double place) const;
  int curve_at(std::size_t first, std::size_t second) const;
  double along(const Curve& curve, double size, bool& outside) const;
  TableTime blended(std::span<const double> at, double size, const std::array<int, 4>& curves,
                    const std::array<double, 4>& weights, Nearness nearness) const;
  TableTime nearest(std::span<const double> at, double size) const;

  const KernelTable* table_;
  KernelCeiling ceiling_;
  std::array<std::vector<double>, 2> places_;  ///< of the axes, rising; an axis that is not there has one place
  std::vector<int> curves_;                    ///< [places of axis 0, of axis 1], -1: not measured
};

}  // namespace moesim
