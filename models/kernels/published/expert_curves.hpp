#pragma once
// The grouped expert FFN from measured curves: any rows per expert out of balanced times.

#include <vector>

#include "models/kernels/published/kernel_ceiling.hpp"
#include "models/kernels/published/kernel_model.hpp"

namespace moesim {

/// t(rows, T) = t0 + p T + sum over experts of g(n_e), T tokens entering and p the table's time per token, with g read
/// off the balanced curve: g(n) = (t(n everywhere) - t0 - p T(n)) / slots, g(0) = 0, T(n) = n experts / top_k. Exact on
/// balanced rows whatever t0 and p. Where the sum is less than one row everywhere takes (few experts active), the
/// curve's own ramp answers, since a few experts do not fill the memory system:
///
///   s = sum_e g(n_e), r = t(1 everywhere) - t0 - p T(1):  t = t0 + p T + s                            when s >= r
///                                                         t = curve(s / r everywhere) + p (T - T(s/r))  below
///
/// Engines choose a kernel's tile for the whole batch, so that an expert with one row takes as long as one that fills
/// it. Where the table says so (TileLaw), that share of the time but launch and tokens goes by tiles against those of
/// as many rows spread evenly, m a slot, which also leaves balanced rows exact:
///
///   tiles(n) = max(1, n / tile) for n > 0, else 0:   u = share(m) s(m everywhere) sum_e tiles(n_e) / (slots tiles(m))
///                                                        + (1 - share(m)) s
///
/// Between two measured counts of slots, curves are blended as CurveGrid does. Never falls with rows but for TileLaw,
/// where rows that fill up tiles make the mean tile cheaper.
class ExpertCurves final : public ExpertTimes {
public:
  /// An `experts` or `expert_gemms` table and the slots of the rank. Throws std::invalid_argument for no slots.
  ExpertCurves(const KernelTable& table, const Gpu& gpu, int slots);

  Seconds operator()(std::span<const std::int32_t> rows_per_slot, std::optional<double> tokens = {}) const override;

  int slots() const { return slots_; }
  /// The slots are a measured count.
  bool measured() const { return measured_; }
  /// Rows per slot up to which the curve was measured.
  double last_rows() const { return curve_.size.back() / slots_; }

private:
  // microseconds without launch and tokens:
  /// The sum of g, or where few experts are active, what the curve's ramp says.
  double ramped(double sum) const;
  /// Of so many rows in every slot.
  double even(double rows) const;
  /// `by_rows`, and the law of tiles as far as it counts. mean: rows per slot.
  double by_tiles(double by_rows, double tiles_of_batch, double mean) const;

  /// That so many rows of an expert fill.
  double tiles(double rows) const;

  /// g of so many rows, microseconds; beyond the measured ones, as the rows of the curve's upper half cost. `right`:
  /// the knot that ends the segment of the last call, which is mostly that of this one; any knot will do.
  double one_with(double rows, std::size_t& right) const;

  KernelCeiling ceiling_;
  Curve curve_;  ///< by rows of the whole rank
  int slots_;
  bool measured_;
  double per_token_;           ///< p, microseconds
  double tokens_per_row_;      ///< under balanced routing
  double launch_;              ///< t0, microseconds
  double ramp_;                ///< r
  double per_row_beyond_ = 0;  ///< microseconds of a row above the measured ones
  std::vector<float> of_;      ///< g by rows
  TileLaw law_;
  double per_tile_;  ///< 1 / tile
};

}  // namespace moesim
