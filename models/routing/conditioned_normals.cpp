#include <algorithm>
#include <cmath>

#include "models/routing/token_design.hpp"

namespace moesim {

namespace {

/// The lower root c of v = c - c^2/s for every v but the one at `upper` (-1: none), which takes the upper root.
double sum_of_roots(std::span<const double> v, double s, std::ptrdiff_t upper, std::span<double> c) {
  double sum = 0;
  for (std::size_t e = 0; e < v.size(); ++e) {
    const double root = std::sqrt(std::max(0.0, 1 - 4 * v[e] / s));
    c[e] = static_cast<std::ptrdiff_t>(e) == upper ? s * (1 + root) / 2 : 2 * v[e] / (1 + root);
    sum += c[e];
  }
  return sum;
}

/// The root s of sum c(s) = s by bisection, for the rare shapes on which the direct iteration does not settle: one
/// expert varies nearly as much as all others together, and may then need the upper root.
void bisect_sum(std::span<const double> v, std::span<double> c) {
  const std::ptrdiff_t largest = std::max_element(v.begin(), v.end()) - v.begin();
  const double v_max = v[static_cast<std::size_t>(largest)];
  const auto gap = [&](double s, std::ptrdiff_t upper) { return sum_of_roots(v, s, upper, c) - s; };
  double low = 4 * v_max;  // from here on every v has real roots
  const std::ptrdiff_t upper = gap(low, -1) >= 0 ? -1 : largest;
  const double sign = upper < 0 ? 1 : -1;  // of the gap at `low`
  double high = 2 * low;
  while (sign * gap(high, upper) > 0 && high < 1e7 * v_max) high *= 2;
  for (int i = 0; i < 200 && high - low > 1e-14 * high; ++i) {
    const double middle = (low + high) / 2;
    (sign * gap(middle, upper) > 0 ? low : high) = middle;
  }
  gap(high, upper);
}

}  // namespace

std::vector<double> unconditioned_variances(std::span<const double> v) {
  std::vector<double> c{v.begin(), v.end()};
  double s = 0, v_max = 0;
  for (const double value : v) {
    s += value;
    v_max = std::max(v_max, value);
  }
  if (s <= 0) return c;
  for (int i = 0; i < 100 && s >= 4 * v_max; ++i) {
    const double next = sum_of_roots(v, s, -1, c);
    if (std::abs(next - s) <= 1e-13 * s) return c;
    s = next;
  }
  bisect_sum(v, c);
  return c;
}

}  // namespace moesim
