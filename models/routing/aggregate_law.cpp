#include "models/routing/aggregate_law.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace moesim {

namespace {

/// L with L L' = a, for a positive semi-definite matrix of size n.
std::vector<double> lower_factor(const std::vector<double>& a, std::size_t n) {
  std::vector<double> factor(n * n, 0.0);
  double trace = 0;
  for (std::size_t i = 0; i < n; ++i) trace += a[i * n + i];
  for (std::size_t j = 0; j < n; ++j) {
    double pivot = a[j * n + j];
    for (std::size_t k = 0; k < j; ++k) pivot -= factor[j * n + k] * factor[j * n + k];
    if (pivot <= 1e-12 * trace) continue;  // the counts sum to k: the last group follows from the others
    factor[j * n + j] = std::sqrt(pivot);
    for (std::size_t i = j + 1; i < n; ++i) {
      double value = a[i * n + j];
      for (std::size_t k = 0; k < j; ++k) value -= factor[i * n + k] * factor[j * n + k];
      factor[i * n + j] = value / factor[j * n + j];
    }
  }
  return factor;
}

}  // namespace

AggregateLaw::AggregateLaw(const TokenDesign& design) : shape{design.shape()}, tokens{design} {
  const auto experts = static_cast<std::size_t>(shape.experts), groups = static_cast<std::size_t>(shape.groups);
  const auto size = static_cast<std::size_t>(shape.group_size());
  pi.assign(design.wanted().begin(), design.wanted().end());
  for (auto* values : {&variance, &own, &shared, &root, &with_group, &sd, &skew, &wide, &curve, &share})
    values->assign(experts, 0.0);
  for (std::size_t e = 0; e < experts; ++e) variance[e] = std::max(0.0, pi[e] * (1 - pi[e]));

  // Given how many experts a token takes from each group, the groups are independent: what is left of an expert's
  // variance after its slope on the group's count is that of draws conditioned on the count.
  const auto covariance = design.group_covariance();
  const auto slope = design.group_slopes(covariance);
  group_factor = lower_factor(covariance, groups);
  std::vector<double> weights(experts, 0.0), left(size);
  for (std::size_t g = 0; g < groups; ++g) {
    for (std::size_t i = 0; i < size; ++i) {
      const std::size_t e = g * size + i;
      left[i] = std::max(0.0, variance[e] - slope[e] * slope[e] * covariance[g * groups + g]);
    }
    const auto c = unconditioned_variances(left);
    const double sum = std::accumulate(c.begin(), c.end(), 0.0);
    for (std::size_t i = 0; i < size; ++i) {
      const std::size_t e = g * size + i;
      if (variance[e] <= 0) continue;
      weights[e] = variance[e];
      const double scale = 1 / std::sqrt(variance[e]);
      root[e] = std::sqrt(c[i]);
      own[e] = root[e] * scale;
      shared[e] = sum > 0 ? c[i] / sum * scale : 0;
      with_group[e] = slope[e] * scale;
    }
  }

  // Rounding to whole tokens adds 1/12 to a variance (Sheppard). The rounding and the skew terms of all experts leave a
  // sum that is off with variance 1/12 + 2/36 each; every expert takes its share of that back, and about one token is
  // then placed at random. The normal's variance makes up for both.
  const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  const double off = 1.0 / 12 + 2.0 / 36, placed = 0.8;
  for (std::size_t e = 0; e < experts; ++e) {
    if (variance[e] <= 0) continue;
    share[e] = weights[e] / total;
    const double odd = 1 - 2 * pi[e], added = 1.0 / 12 + share[e] * (placed - off);
    const double kurtosis = (1 - 6 * variance[e]) / 24, square = odd * odd / 36;
    sd[e] = std::sqrt(variance[e]);
    skew[e] = odd / 6;
    wide[e] = (5 * square - 3 * kurtosis - added / 2) / sd[e];
    curve[e] = (kurtosis - 2 * square) / sd[e];
  }
  by_variance.resize(experts);
  std::iota(by_variance.begin(), by_variance.end(), 0);
  std::stable_sort(by_variance.begin(), by_variance.end(), [&](int a, int b) {
    return variance[static_cast<std::size_t>(a)] < variance[static_cast<std::size_t>(b)];
  });
  if (total > 0) spread = AliasTable{weights};
}

}  // namespace moesim
