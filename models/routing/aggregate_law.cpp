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
  root.assign(experts, 0.0);
  inverse_sd.assign(experts, 0.0);
  group_scale.assign(groups, 0.0);
  std::vector<double> variance(experts);
  for (std::size_t e = 0; e < experts; ++e) {
    variance[e] = std::max(0.0, pi[e] * (1 - pi[e]));
    if (variance[e] > 0) inverse_sd[e] = 1 / std::sqrt(variance[e]);
    total_variance += variance[e];
  }
  // Given how many experts a token takes from each group, the groups are independent: what is left of an expert's
  // variance after its slope on the group's count is that of draws conditioned on the count.
  const auto covariance = design.group_covariance();
  const auto slopes = design.group_slopes(covariance);
  for (std::size_t g = 0; g < groups; ++g) {
    std::vector<double> left(size);
    for (std::size_t i = 0; i < size; ++i) {
      const std::size_t e = g * size + i;
      left[i] = std::max(0.0, variance[e] - slopes[e] * slopes[e] * covariance[g * groups + g]);
    }
    const auto c = unconditioned_variances(left);
    const double sum = std::accumulate(c.begin(), c.end(), 0.0);
    if (sum > 0) group_scale[g] = 1 / sum;
    for (std::size_t i = 0; i < size; ++i) root[g * size + i] = std::sqrt(c[i]);
  }
  if (groups > 1) {
    slope = slopes;
    group_factor = lower_factor(covariance, groups);
  }
  by_variance.resize(experts);
  std::iota(by_variance.begin(), by_variance.end(), 0);
  std::stable_sort(by_variance.begin(), by_variance.end(), [&](int a, int b) {
    return variance[static_cast<std::size_t>(a)] < variance[static_cast<std::size_t>(b)];
  });
  for (const int e : by_variance) variances.push_back(variance[static_cast<std::size_t>(e)]);
  if (total_variance > 0) spread = AliasTable{variance};
}

}  // namespace moesim
