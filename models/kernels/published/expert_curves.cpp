#include "models/kernels/published/expert_curves.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "models/kernels/published/curve_grid.hpp"

namespace moesim {
namespace {

/// Rows of one expert: 64 KiB, the prefill of most engines. Decode touches the first few of it.
constexpr int kTabulated = 16384;

/// Every size at which a curve of the table has a knot, in rows per slot, for `slots` of them.
std::vector<double> all_sizes(const KernelTable& table, int slots) {
  std::vector<double> sizes;
  for (const Curve& curve : table.curves)
    for (const double size : curve.size) sizes.push_back(size / curve.at[0] * slots);
  std::sort(sizes.begin(), sizes.end());
  const auto same = [](double a, double b) { return b - a < 1e-9 * b; };
  sizes.erase(std::unique(sizes.begin(), sizes.end(), same), sizes.end());
  sizes.erase(std::remove_if(sizes.begin(), sizes.end(), [](double size) { return size < 1; }), sizes.end());
  return sizes;
}

/// The curves of the two neighbours at the same rows per slot, each against its own ceiling.
Curve blend(const KernelTable& table, const KernelCeiling& ceiling, const Curve& low, const Curve& high, int slots) {
  const double share = std::log(slots / low.at[0]) / std::log(high.at[0] / low.at[0]);
  const auto reached = [&](const Curve& curve, double per_slot) {
    const double size = std::clamp(per_slot * curve.at[0], curve.size.front(), curve.size.back());
    return std::log(interpolate(curve, size) / ceiling.microseconds(curve.at, size));
  };
  Curve made{{static_cast<double>(slots)}, {}, {}};
  for (const double size : all_sizes(table, slots)) {
    const double per_slot = size / slots;
    if (per_slot > std::max(low.size.back() / low.at[0], high.size.back() / high.at[0])) break;
    const double share_of_ceiling = (1 - share) * reached(low, per_slot) + share * reached(high, per_slot);
    const double microseconds = ceiling.microseconds(made.at, size) * std::exp(share_of_ceiling);
    made.size.push_back(size);
    made.microseconds.push_back(made.microseconds.empty() ? microseconds
                                                          : std::max(microseconds, made.microseconds.back()));
  }
  return made;
}

/// The curve for `slots`: measured, blended, or of the nearest count with its utilisation held.
Curve curve_for(const KernelTable& table, const KernelCeiling& ceiling, int slots, bool& measured) {
  if (slots < 1) throw std::invalid_argument{"a rank without expert slots"};
  std::vector<const Curve*> sorted;
  for (const Curve& curve : table.curves) sorted.push_back(&curve);
  std::sort(sorted.begin(), sorted.end(), [](const Curve* a, const Curve* b) { return a->at[0] < b->at[0]; });
  const auto high = std::find_if(sorted.begin(), sorted.end(), [&](const Curve* c) { return c->at[0] >= slots; });
  measured = high != sorted.end() && (*high)->at[0] == slots;
  if (measured) return **high;
  if (high != sorted.end() && high != sorted.begin()) return blend(table, ceiling, **(high - 1), **high, slots);
  const Curve& near = high == sorted.end() ? *sorted.back() : *sorted.front();
  Curve held{{static_cast<double>(slots)}, {}, {}};
  for (std::size_t i = 0; i < near.size.size(); ++i) {
    const double size = std::max(1.0, near.size[i] / near.at[0] * slots);
    if (!held.size.empty() && size <= held.size.back()) continue;
    held.size.push_back(size);
    held.microseconds.push_back(near.microseconds[i] * ceiling.microseconds(held.at, size) /
                                ceiling.microseconds(near.at, near.size[i]));
    const std::size_t last = held.size.size() - 1;
    if (last > 0) held.microseconds[last] = std::max(held.microseconds[last], held.microseconds[last - 1]);
  }
  return held;
}

double share_of_tiles(const TileLaw& law, double mean_rows) {
  constexpr auto& kRows = TileLaw::kRows;
  if (mean_rows <= kRows.front()) return law.share.front();
  if (mean_rows >= kRows.back()) return law.share.back();
  constexpr double kOctaves = 2;  // from one of kRows to the next
  const double place = std::log2(mean_rows / kRows.front()) / kOctaves;
  const auto left = static_cast<std::size_t>(place);
  return std::lerp(law.share[left], law.share[left + 1], place - static_cast<double>(left));
}

}  // namespace

ExpertCurves::ExpertCurves(const KernelTable& table, const Gpu& gpu, int slots)
    : ceiling_(gpu, table),
      curve_(curve_for(table, ceiling_, slots, measured_)),
      slots_(slots),
      per_token_(table.per_token.value() * 1e6),
      tokens_per_row_(std::max(1.0, static_cast<double>(table.dimensions[2]) / slots) /
                      std::max(1, table.dimensions[3])),
      law_(table.tiles),
      per_tile_(1.0 / std::max(1, table.tiles.tile)) {
  const double h = table.dimensions[0], f = table.dimensions[1];
  const double first = curve_.microseconds.front(), read_at_first = std::min<double>(curve_.size.front(), slots);
  launch_ = std::clamp(first - ceiling_.nominal_read(read_at_first * bytes_of(3 * h * f, table.format)),
                       std::min(ceiling_.floor(), 0.9 * first), 0.95 * first);
  const auto measured = [&](double rows) {
    std::size_t right = 1;
    return std::max(0.0, one_with(rows, right));
  };
  const double last = last_rows(), at_last = measured(last);
  // of the upper half of the curve, where reading weights is past; a curve of few rows may be flat there
  const double per_row = (at_last - measured(last / 2)) / (last / 2);
  per_row_beyond_ = std::clamp(per_row, 0.5 * at_last / last, at_last / last);
  std::size_t right = 1;
  of_.push_back(0);
  for (int rows = 1; rows < kTabulated; ++rows)
    of_.push_back(std::max(of_.back(), static_cast<float>(one_with(rows, right))));
  ramp_ = of_[1] * slots_;
}

double ExpertCurves::one_with(double rows, std::size_t& right) const {
  const double measured = std::min(rows, last_rows());
  return (interpolate(curve_, measured * slots_, right) - launch_) / slots_ - per_token_ * measured * tokens_per_row_ +
         per_row_beyond_ * (rows - measured);
}

double ExpertCurves::even(double rows) const {
  std::size_t right = 1;
  if (rows >= kTabulated - 1) return slots_ * std::max<double>(of_.back(), one_with(rows, right));
  const auto whole = static_cast<std::size_t>(rows);
  return ramped(slots_ * std::lerp(of_[whole], of_[whole + 1], rows - static_cast<double>(whole)));
}

double ExpertCurves::tiles(double rows) const {
  return rows < 1 ? rows : std::max(1.0, rows * per_tile_);
}

double ExpertCurves::by_tiles(double by_rows, double tiles_of_batch, double mean) const {
  const double share = share_of_tiles(law_, mean);
  return share == 0 ? by_rows : std::lerp(by_rows, even(mean) * tiles_of_batch / (slots_ * tiles(mean)), share);
}

Seconds ExpertCurves::operator()(std::span<const std::int32_t> rows_per_slot, std::optional<double> tokens) const {
  double sum = 0;
  std::int64_t all_rows = 0;
  std::size_t right = 1;
  for (const std::int32_t rows : rows_per_slot) {
    sum +=
        rows < kTabulated ? of_[static_cast<std::size_t>(rows)] : std::max<double>(of_.back(), one_with(rows, right));
    all_rows += rows;
  }
  if (all_rows == 0) return Seconds{0};
  const auto rows = static_cast<double>(all_rows);
  const double entering = tokens.value_or(rows * tokens_per_row_);
  double work = ramped(sum);
  if (law_.tile > 0) {
    std::int64_t active = 0, beyond_a_tile = 0;  // in a loop of their own, which is one of vectors
    for (const std::int32_t slot : rows_per_slot) {
      active += slot > 0;
      beyond_a_tile += std::max(0, slot - law_.tile);
    }
    const double tiles_of_batch = static_cast<double>(active) + static_cast<double>(beyond_a_tile) * per_tile_;
    work = by_tiles(work, tiles_of_batch, rows / slots_);
  }
  return Seconds{(launch_ + per_token_ * entering + work) * 1e-6};
}

double ExpertCurves::ramped(double sum) const {
  if (sum >= ramp_) return sum;
  const double size = sum / ramp_ * slots_, first = curve_.size.front();
  const double alone =
      size >= first ? interpolate(curve_, size) : launch_ + (curve_.microseconds.front() - launch_) * size / first;
  return alone - launch_ - per_token_ * size * tokens_per_row_;
}

}  // namespace moesim
