#pragma once
// Times of histograms that nobody measured, from the measured ones of a profile.

#include <map>
#include <optional>
#include <span>
#include <tuple>
#include <vector>

#include "models/kernels/profile.hpp"

namespace moesim {

/// t(rows) = sum over experts of g(rows_e), g(0) = 0: the simplest law that knows about empty and crowded experts.
///
/// g is read off the uniform histograms that were not held out, time / experts at rows per expert, of the expert count
/// nearest to what is asked for. Between measured rows it is linear (logarithmic blends are too slow at the knees),
/// below the fewest it is constant (the weights are read), above the most it grows as the roofline of the measured
/// ceilings does. Medians that fall with more rows are pooled (isotonic regression). Where several kernels were
/// measured the fastest counts.
class ProfileInterpolation {
public:
  explicit ProfileInterpolation(const Profile& profile);

  /// Nothing when no uniform histogram of these widths and format was measured, whatever the number of experts.
  /// rows_per_expert [shape.experts], not negative.
  std::optional<Seconds> time(const KernelShape& shape, std::span<const std::int32_t> rows_per_expert) const;

  /// What someone who knows only the mean rows per expert would say: experts g(mean).
  std::optional<Seconds> time_of_mean(const KernelShape& shape, std::span<const std::int32_t> rows_per_expert) const;

private:
  struct Knot {
    std::int32_t rows = 0;
    Seconds per_expert;
  };
  using Curve = std::vector<Knot>;                    ///< by rows
  using Widths = std::tuple<int, int, KernelFormat>;  ///< hidden, intermediate, format

  static void make_monotone(Curve& curve);
  /// One expert.
  Seconds at(const Curve& curve, const KernelShape& shape, double rows) const;
  /// Reading the weights or multiplying, at the measured ceilings.
  Seconds roofline(const KernelShape& shape, double rows) const;
  const Curve* curve_for(const KernelShape& shape) const;

  std::map<Widths, std::map<int, Curve>> curves_;  ///< then by experts
  ProfileDevice device_;
};

/// Errors of predicting the held-out points from the others: of all of them first, then of each kind of histogram that
/// there is. Empty when nothing held out can be predicted.
std::vector<HoldOutError> hold_out_errors(const Profile& profile);

/// The element below which a share of `values` lies, linear between elements. Requires values. share in [0, 1].
double quantile(std::vector<double> values, double share);

}  // namespace moesim
