#include "models/kernels/profile_interpolation.hpp"

#include <algorithm>
#include <cmath>

namespace moesim {
namespace {

struct Errors {
  std::vector<double> own, mean_only;
};

HoldOutError summed_up(std::string histograms, const Errors& errors) {
  constexpr double kMedian = 0.5, kHigh = 0.9;
  return {std::move(histograms),       static_cast<int>(errors.own.size()), quantile(errors.own, kMedian),
          quantile(errors.own, kHigh), quantile(errors.mean_only, kMedian), quantile(errors.mean_only, kHigh)};
}

}  // namespace

double quantile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  const double place = share * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (place - static_cast<double>(below)) * (values[above] - values[below]);
}

ProfileInterpolation::ProfileInterpolation(const Profile& profile) : device_{profile.device} {
  for (const ProfilePoint& point : profile.points) {
    if (point.held_out || point.histogram.kind != HistogramKind::uniform) continue;
    const KernelShape& shape = point.shape;
    Curve& curve = curves_[{shape.hidden, shape.intermediate, shape.format}][shape.experts];
    const Knot knot{point.histogram.rows.front(), point.median / static_cast<double>(shape.experts)};
    const auto place = std::lower_bound(curve.begin(), curve.end(), knot.rows,
                                        [](const Knot& a, std::int32_t rows) { return a.rows < rows; });
    if (place != curve.end() && place->rows == knot.rows)
      place->per_expert = std::min(place->per_expert, knot.per_expert);
    else
      curve.insert(place, knot);
  }
  for (auto& [widths, by_experts] : curves_)
    for (auto& [experts, curve] : by_experts) make_monotone(curve);
}

/// Pool adjacent violators, each knot with the same weight.
void ProfileInterpolation::make_monotone(Curve& curve) {
  struct Pool {
    Seconds mean;
    double knots;
  };
  std::vector<Pool> pools;
  for (const Knot& knot : curve) {
    pools.push_back({knot.per_expert, 1});
    while (pools.size() > 1 && pools[pools.size() - 2].mean > pools.back().mean) {
      const Pool last = pools.back();
      pools.pop_back();
      Pool& before = pools.back();
      before.mean = (before.mean * before.knots + last.mean * last.knots) / (before.knots + last.knots);
      before.knots += last.knots;
    }
  }
  std::size_t knot = 0;
  for (const Pool& pool : pools)
    for (int i = 0; i < static_cast<int>(pool.knots); ++i) curve[knot++].per_expert = pool.mean;
}

Seconds ProfileInterpolation::roofline(const KernelShape& shape, double rows) const {
  const Flops work = rows * expert_flops(shape, 1);
  for (const FormatRate& rate : device_.gemm)
    if (rate.format == shape.format) return std::max(expert_weights(shape) / device_.copy, work / rate.rate);
  return Seconds{work.value()};  // without ceilings only the ratio counts: in proportion to the rows
}

Seconds ProfileInterpolation::at(const Curve& curve, const KernelShape& shape, double rows) const {
  if (rows <= 0) return {};
  if (rows <= curve.front().rows) return curve.front().per_expert;
  if (rows >= curve.back().rows)
    return curve.back().per_expert * (roofline(shape, rows) / roofline(shape, curve.back().rows));
  const auto above = std::find_if(curve.begin(), curve.end(), [&](const Knot& knot) { return knot.rows > rows; });
  const Knot& low = *(above - 1);
  const double share = (rows - low.rows) / (above->rows - low.rows);
  return low.per_expert + share * (above->per_expert - low.per_expert);
}

/// Of the expert counts with at least half as many knots as the best known one: the nearest by ratio.
const ProfileInterpolation::Curve* ProfileInterpolation::curve_for(const KernelShape& shape) const {
  const auto found = curves_.find({shape.hidden, shape.intermediate, shape.format});
  if (found == curves_.end()) return nullptr;
  std::size_t most = 0;
  for (const auto& [experts, curve] : found->second) most = std::max(most, curve.size());
  const Curve* nearest = nullptr;
  double distance = 0;
  for (const auto& [experts, curve] : found->second) {
    const double off = std::abs(std::log(static_cast<double>(experts) / shape.experts));
    if (2 * curve.size() < most || (nearest != nullptr && off >= distance)) continue;
    nearest = &curve;
    distance = off;
  }
  return nearest;
}

std::optional<Seconds> ProfileInterpolation::time(const KernelShape& shape,
                                                  std::span<const std::int32_t> rows_per_expert) const {
  const Curve* curve = curve_for(shape);
  if (curve == nullptr) return std::nullopt;
  Seconds sum;
  for (const std::int32_t rows : rows_per_expert) sum += at(*curve, shape, rows);
  return sum;
}

std::optional<Seconds> ProfileInterpolation::time_of_mean(const KernelShape& shape,
                                                          std::span<const std::int32_t> rows_per_expert) const {
  const Curve* curve = curve_for(shape);
  if (curve == nullptr) return std::nullopt;
  double total = 0;
  for (const std::int32_t rows : rows_per_expert) total += rows;
  const auto experts = static_cast<double>(rows_per_expert.size());
  return experts * at(*curve, shape, total / experts);
}

std::vector<HoldOutError> hold_out_errors(const Profile& profile) {
  const ProfileInterpolation model{profile};
  Errors all;
  std::map<HistogramKind, Errors> by_kind;
  for (const ProfilePoint& point : profile.points) {
    if (!point.held_out) continue;
    const auto own = model.time(point.shape, point.histogram.rows);
    const auto mean_only = model.time_of_mean(point.shape, point.histogram.rows);
    if (!own || !mean_only) continue;
    for (Errors* errors : {&all, &by_kind[point.histogram.kind]}) {
      errors->own.push_back(std::abs(*own / point.median - 1));
      errors->mean_only.push_back(std::abs(*mean_only / point.median - 1));
    }
  }
  if (all.own.empty()) return {};
  std::vector<HoldOutError> result{summed_up("all", all)};
  for (const auto& [kind, errors] : by_kind) result.push_back(summed_up(std::string{name_of(kind)}, errors));
  return result;
}

}  // namespace moesim
