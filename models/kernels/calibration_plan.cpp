#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "models/kernels/calibration.hpp"
#include "models/units/random.hpp"

namespace moesim {
namespace {

constexpr std::array kUsualLayers{
    NamedLayer{"mixtral-8x7b", {4096, 14336, 8}}, NamedLayer{"qwen3-235b-a22b", {4096, 1536, 128}},
    NamedLayer{"deepseek-v3", {7168, 2048, 256}}, NamedLayer{"gpt-oss-120b", {2880, 2880, 128, true}}};

/// Three streams of one purpose: histograms, their popularity order, the order of points.
enum Stream : std::uint32_t { kRows, kPopularity, kOrder };

template <class Element>
void shuffle(std::vector<Element>& elements, Random& random) {
  for (std::size_t left = elements.size(); left > 1; --left)
    std::swap(elements[left - 1], elements[random.below(static_cast<std::uint32_t>(left))]);
}

/// Running sums of the popularity of each expert.
std::vector<double> cumulative_popularity(double exponent, int experts, std::uint64_t seed) {
  std::vector<double> weights(static_cast<std::size_t>(experts));
  for (std::size_t e = 0; e < weights.size(); ++e) weights[e] = std::pow(static_cast<double>(e + 1), -exponent);
  Random random{seed, Purpose::expert_loads, kPopularity, 0};
  shuffle(weights, random);
  std::partial_sum(weights.begin(), weights.end(), weights.begin());
  return weights;
}

std::vector<std::int32_t> thrown(double exponent, int experts, std::int64_t total, std::uint64_t seed) {
  const std::vector<double> sums = cumulative_popularity(exponent, experts, seed);
  std::vector<std::int32_t> rows(sums.size());
  Random random{seed, Purpose::expert_loads, kRows, 0};
  for (std::int64_t row = 0; row < total; ++row) {
    const auto place = std::lower_bound(sums.begin(), sums.end(), random.uniform() * sums.back());
    ++rows[std::min(static_cast<std::size_t>(place - sums.begin()), rows.size() - 1)];
  }
  return rows;
}

/// As even as can be over the experts whose number is a multiple of `stride`.
std::vector<std::int32_t> dealt(int experts, std::int64_t total, int stride) {
  std::vector<std::int32_t> rows(static_cast<std::size_t>(experts));
  const std::int64_t takers = (experts + stride - 1) / stride;
  for (std::int64_t taker = 0; taker < takers; ++taker)
    rows[static_cast<std::size_t>(taker * stride)] =
        static_cast<std::int32_t>(total / takers + (taker < total % takers ? 1 : 0));
  return rows;
}

/// The points of one layer in one format.
class LayerPlan {
public:
  LayerPlan(const ExpertLayer& layer, KernelFormat format, const CalibrationRequest& request,
            std::vector<PlannedPoint>& points)
      : layer_{layer}, format_{format}, seed_{request.seed}, wide_{request.wide}, points_{points} {}

  void add_all() {
    constexpr int kLead = 8, kLeastSkewed = 4;
    const std::vector<int> sizes = rank_sizes();
    int lead = 1;
    for (const int size : sizes) lead = size <= kLead ? size : lead;
    const int skewed = std::max(lead, std::min(kLeastSkewed, layer_.experts));
    for (const int rows : {1, 8, 64, 256}) add_uniform(lead, rows, 0);
    add_skewed(HistogramKind::multinomial, 0, skewed, 4, 1);
    add_skewed(HistogramKind::zipf, 1.0, skewed, 16, 1);
    for (const int rows : {2, 4, 16, 32, 128, 512}) add_uniform(lead, rows, 2);
    for (const int rows : {6, 24, 96}) add_uniform(lead, rows, 2, true);
    for (const int mean : {4, 64})
      for (const double exponent : {0.6, 1.0}) add_skewed(HistogramKind::zipf, exponent, skewed, mean, 2);
    add_skewed(HistogramKind::half_empty, 0, skewed, 16, 2);
    add_skewed(HistogramKind::one_hot, 0, skewed, 8, 2);
    add_uniform(lead, 1024, 3);
    for (const int size : sizes)
      if (size != lead) add_other_size(size);
    if (!wide_) return;
    for (const int rows : {17, 33, 65, 129, 2048}) add_uniform(lead, rows, 4);
    for (const int rows : {12, 48, 192, 384}) add_uniform(lead, rows, 4, true);
    for (const int size : sizes) add_wide(size, size == lead);
  }

private:
  std::vector<int> rank_sizes() const {
    const Bytes most = wide_ ? 8_GiB : 1_GiB;
    const int largest = std::min(layer_.experts, wide_ ? 64 : layer_.experts);
    std::vector<int> sizes{1};
    const Bytes expert = expert_weights({layer_.hidden, layer_.intermediate, 1, format_});
    while (2 * sizes.back() <= largest && expert * (2.0 * sizes.back()) <= most) sizes.push_back(2 * sizes.back());
    return sizes;
  }

  void add_other_size(int size) {
    for (const int rows : {1, 4, 16, 64}) add_uniform(size, rows, 3);
    add_skewed(HistogramKind::zipf, 0.6, size, 8, 3);
    add_skewed(HistogramKind::zipf, 1.0, size, 32, 3);
  }

  void add_wide(int size, bool is_lead) {
    if (!is_lead)
      for (const int rows : {2, 8, 32, 128, 256, 512, 1024}) add_uniform(size, rows, 4);
    for (const int mean : {1, 2, 4, 16, 64, 256})
      for (const double exponent : {0.6, 1.0}) add_skewed(HistogramKind::zipf, exponent, size, mean, 5);
    for (const int mean : {1, 8, 128}) {
      add_skewed(HistogramKind::multinomial, 0, size, mean, 5);
      add_skewed(HistogramKind::half_empty, 0, size, mean, 5);
      add_skewed(HistogramKind::one_hot, 0, size, mean, 5);
    }
  }

  void add(TokenHistogram histogram, int stage, bool held_out) {
    const auto experts = static_cast<int>(histogram.rows.size());
    points_.push_back({{layer_.hidden, layer_.intermediate, experts, format_}, std::move(histogram), stage, held_out});
  }

  void add_uniform(int experts, int rows, int stage, bool held_out = false) {
    add(draw_histogram(HistogramKind::uniform, 0, experts, std::int64_t{experts} * rows, seed_), stage, held_out);
  }

  /// One expert has no skew.
  void add_skewed(HistogramKind kind, double exponent, int experts, int mean, int stage) {
    if (experts < 2) return;
    add(draw_histogram(kind, exponent, experts, std::int64_t{experts} * mean, seed_ + points_.size()), stage, true);
  }

  ExpertLayer layer_;
  KernelFormat format_;
  std::uint64_t seed_;
  bool wide_;
  std::vector<PlannedPoint>& points_;
};

}  // namespace

std::span<const NamedLayer> usual_layers() {
  return kUsualLayers;
}

TokenHistogram draw_histogram(HistogramKind kind, double exponent, int experts, std::int64_t total,
                              std::uint64_t seed) {
  switch (kind) {
    case HistogramKind::one_hot:
      return {kind, 0, dealt(experts, total, experts)};
    case HistogramKind::half_empty:
      return {kind, 0, dealt(experts, total, 2)};
    case HistogramKind::multinomial:
      return {kind, 0, thrown(0, experts, total, seed)};
    case HistogramKind::zipf:
      return {kind, exponent, thrown(exponent, experts, total, seed)};
    default:
      return {kind, 0, dealt(experts, total, 1)};
  }
}

std::vector<PlannedPoint> calibration_plan(const CalibrationRequest& request,
                                           const std::vector<KernelFormat>& formats) {
  std::vector<PlannedPoint> points;
  for (const ExpertLayer& layer : request.layers)
    for (const KernelFormat format : formats)
      if (format != KernelFormat::mxfp4 || layer.mxfp4) LayerPlan{layer, format, request, points}.add_all();
  constexpr int kQuick = 1;
  if (request.quick) std::erase_if(points, [](const PlannedPoint& point) { return point.stage > kQuick; });
  Random random{request.seed, Purpose::expert_loads, kOrder, 0};
  shuffle(points, random);
  std::stable_sort(points.begin(), points.end(),
                   [](const PlannedPoint& a, const PlannedPoint& b) { return a.stage < b.stage; });
  return points;
}

}  // namespace moesim
