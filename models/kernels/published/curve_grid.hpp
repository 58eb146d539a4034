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
  inside,   ///< at a knot of a curve
  between,  ///< between knots or curves
  outside   ///< beyond the last curve or knot: its utilisation of the ceiling is held
};

struct TableTime {
  double microseconds = 0;
  Nearness nearness = Nearness::inside;
};

/// Between curves the share of the ceiling that they reach is blended (in logarithms of place and share); of dense
/// products the time itself, linear in n and k, which tells those better. A place whose curve was not measured is told
/// along each axis by the next that were.
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
  /// Curves and what each weighs; -1: none.
  struct Mix {
    std::array<int, 4> curves{-1, -1, -1, -1};
    std::array<double, 4> weights{};
  };
  double share(double place, double low, double high) const;
  Bracket bracket(std::size_t axis, double place) const;
  int curve_at(std::size_t first, std::size_t second) const;
  bool add_neighbours(Mix& mix, std::size_t axis, std::size_t fixed, double place) const;
  Mix mix(std::span<const double> at, const Bracket& first, const Bracket& second) const;
  int nearest(std::span<const double> at) const;
  double along(const Curve& curve, double size, Nearness& nearness) const;
  TableTime blended(std::span<const double> at, double size, const Mix& mix, Nearness nearness) const;

  const KernelTable* table_;
  KernelCeiling ceiling_;
  bool linear_;                                ///< times are blended, not shares of the ceiling
  std::array<std::vector<double>, 2> places_;  ///< of the axes, rising; an axis that is not there has one place
  std::vector<int> curves_;                    ///< [places of axis 0, of axis 1], -1: not measured
};

}  // namespace moesim
