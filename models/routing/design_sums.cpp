#include <algorithm>
#include <cmath>

#include "models/routing/design_fit.hpp"

namespace moesim {

OddsEvaluation::OddsEvaluation(const RouterShape& shape, const ExpertOdds& odds) {
  const auto degree = static_cast<std::size_t>(shape.top_k) + 1;
  const auto size = static_cast<std::size_t>(shape.group_size());
  const auto groups = static_cast<std::size_t>(shape.groups);
  in.resize(groups * degree);
  out.resize(groups);
  inclusion.resize(static_cast<std::size_t>(shape.experts));
  // forward[g][i][j]: chance of j takes among the first i experts of the group, under independent draws.
  std::vector<double> forward(groups * (size + 1) * degree, 0.0);
  for (std::size_t g = 0; g < groups; ++g) {
    double* row = forward.data() + g * (size + 1) * degree;
    row[0] = 1;
    for (std::size_t i = 0; i < size; ++i, row += degree) {
      const double take = odds.take[g * size + i], leave = odds.leave[g * size + i];
      double* next = row + degree;
      next[0] = leave * row[0];
      for (std::size_t j = 1; j < degree; ++j) next[j] = leave * row[j] + take * row[j - 1];
    }
    std::copy_n(row, degree, in.begin() + static_cast<std::ptrdiff_t>(g * degree));
    out[g] = row[0];
  }
  const GroupChain chain{shape, in, out};
  total = chain.total();
  std::vector<double> rest(degree), after(degree);
  for (std::size_t g = 0; g < groups; ++g) {
    chain.rest_of(static_cast<int>(g), rest);
    // after[j]: weight of all completions when j of this group's earlier experts are taken.
    std::reverse_copy(rest.begin(), rest.end(), after.begin());
    for (std::size_t i = size; i-- > 0;) {
      const double* row = forward.data() + (g * (size + 1) + i) * degree;
      const double take = odds.take[g * size + i], leave = odds.leave[g * size + i];
      double sum = 0;
      for (std::size_t j = 0; j + 1 < degree; ++j) {
        sum += row[j] * after[j + 1];
        after[j] = leave * after[j] + take * after[j + 1];
      }
      after[degree - 1] *= leave;
      inclusion[g * size + i] = take * sum / total;
    }
  }
}

std::vector<double> covariance_of_groups(const RouterShape& shape, std::span<const double> in,
                                         std::span<const double> out) {
  const auto degree = static_cast<std::size_t>(shape.top_k) + 1;
  const auto groups = static_cast<std::size_t>(shape.groups);
  std::vector<double> covariance(groups * groups, 0.0);
  if (groups == 1) return covariance;  // always k
  std::vector<double> rest(degree), mean(groups);
  const GroupChain chain{shape, in, out};
  for (std::size_t g = 0; g < groups; ++g) {
    chain.rest_of(static_cast<int>(g), rest);
    double square = 0;
    for (std::size_t j = 1; j < degree; ++j) {
      const double chance = in[g * degree + j] * rest[degree - 1 - j] / chain.total();
      mean[g] += static_cast<double>(j) * chance;
      square += static_cast<double>(j * j) * chance;
    }
    covariance[g * groups + g] = square;
  }
  // E[n_g n_h]: group g contributes j times its polynomial and is never left out.
  std::vector<double> marked_in{in.begin(), in.end()}, marked_out{out.begin(), out.end()};
  for (std::size_t g = 0; g < groups; ++g) {
    for (std::size_t j = 0; j < degree; ++j) marked_in[g * degree + j] *= static_cast<double>(j);
    marked_out[g] = 0;
    const GroupChain marked{shape, marked_in, marked_out};
    for (std::size_t h = g + 1; h < groups; ++h) {
      marked.rest_of(static_cast<int>(h), rest);
      double product = 0;
      for (std::size_t j = 1; j < degree; ++j)
        product += static_cast<double>(j) * in[h * degree + j] * rest[degree - 1 - j];
      covariance[g * groups + h] = covariance[h * groups + g] = product / chain.total();
    }
    std::copy_n(in.begin() + static_cast<std::ptrdiff_t>(g * degree), degree,
                marked_in.begin() + static_cast<std::ptrdiff_t>(g * degree));
    marked_out[g] = out[g];
  }
  for (std::size_t g = 0; g < groups; ++g)
    for (std::size_t h = 0; h < groups; ++h) covariance[g * groups + h] -= mean[g] * mean[h];
  return covariance;
}

namespace {

/// The lower root c of v = c - kappa c^2 for every v but the one at `upper` (-1: none), which takes the upper root.
double sum_of_roots(std::span<const double> v, double kappa, std::ptrdiff_t upper, std::span<double> c) {
  double sum = 0;
  for (std::size_t e = 0; e < v.size(); ++e) {
    const double root = std::sqrt(std::max(0.0, 1 - 4 * kappa * v[e]));
    c[e] = static_cast<std::ptrdiff_t>(e) == upper ? (1 + root) / (2 * kappa) : 2 * v[e] / (1 + root);
    sum += c[e];
  }
  return sum;
}

double kappa_of(double s, double sum_variance) {
  return (s - sum_variance) / (s * s);
}

/// The root s of sum c(s) = s by bisection, for the rare shapes on which the direct iteration does not settle: one
/// expert varies nearly as much as all others together, and may then need the upper root.
void bisect_sum(std::span<const double> v, double sum_variance, std::span<double> c) {
  const std::ptrdiff_t largest = std::max_element(v.begin(), v.end()) - v.begin();
  const double v_max = v[static_cast<std::size_t>(largest)];
  // From here on every v has real roots.
  double low = sum_variance < v_max ? 2 * v_max * (1 + std::sqrt(1 - sum_variance / v_max)) : 1e-9 * v_max;
  const auto gap = [&](double s, std::ptrdiff_t upper) {
    return sum_of_roots(v, kappa_of(s, sum_variance), upper, c) - s;
  };
  const std::ptrdiff_t upper = gap(low, -1) >= 0 ? -1 : largest;
  const double sign = upper < 0 ? 1 : -1;  // of the gap at `low`
  double high = std::max(2 * low, v_max);
  while (sign * gap(high, upper) > 0 && high < 1e7 * v_max) high *= 2;
  for (int i = 0; i < 200 && high - low > 1e-14 * high; ++i) {
    const double middle = (low + high) / 2;
    (sign * gap(middle, upper) > 0 ? low : high) = middle;
  }
  gap(high, upper);
}

}  // namespace

std::vector<double> unconditioned_variances(std::span<const double> v, double sum_variance) {
  std::vector<double> c{v.begin(), v.end()};
  double s = 0;
  for (const double value : v) s += value;
  if (s <= 0) return c;
  for (int i = 0; i < 100; ++i) {
    const double next = sum_of_roots(v, kappa_of(s, sum_variance), -1, c);
    if (std::abs(next - s) <= 1e-13 * s) return c;
    s = next;
  }
  bisect_sum(v, sum_variance, c);
  return c;
}

}  // namespace moesim
