#pragma once
// The grouped expert FFN from measured curves: any rows per expert out of balanced times.

#include <vector>

#include "models/kernels/published/kernel_ceiling.hpp"
#include "models/kernels/published/kernel_model.hpp"

namespace moesim {

/// t(rows) = t0 + sum over experts of g(n_e), with g read off the balanced curve: g(n) = (t(n everywhere) - t0) /
/// slots, g(0) = 0. Exact on balanced rows whatever t0. Where the sum is less than one row everywhere takes (few
/// experts active), the curve's own ramp answers, since a few experts do not fill the memory system:
///
///   s = sum_e g(n_e);  t = t0 + s                   when s >= t(1 everywhere) - t0
///                      t = curve(s / (t(1) - t0))   below
///
/// Between two measured counts of slots, curves are blended as CurveGrid does. Never falls with rows.
class ExpertCurves final : public ExpertTimes {
public:
  /// An `experts` or `expert_gemms` table and the slots of the rank. Throws std::invalid_argument for no slots.
  ExpertCurves(const KernelTable& table, const Gpu& gpu, int slots);

  Seconds operator()(std::span<const std::int32_t> rows_per_slot) const override;

  int slots() const { return slots_; }
  /// The slots are a measured count.
  bool measured() const { return measured_; }
  /// Rows per slot up to which the curve was measured.
  double last_rows() const { return curve_.size.back() / slots_; }

private:
  /// Microseconds when every slot has as many. `right`: the knot that ends the segment of the last call, which is
  /// mostly that of this one; any knot will do.
  double all_with(double rows_per_slot, std::size_t& right) const;

  KernelCeiling ceiling_;
  Curve curve_;  ///< by rows of the whole rank
  int slots_;
  bool measured_;
  double launch_;          ///< t0, microseconds
  double ramp_;            ///< t(1 everywhere) - t0
  std::vector<float> of_;  ///< g by rows
};

}  // namespace moesim
