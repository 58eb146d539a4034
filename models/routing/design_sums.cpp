#include <algorithm>
#include <cmath>

#include "models/routing/design_fit.hpp"

namespace moesim {

namespace {

/// One group's experts in order, and the polynomials of the first 0, 1, ... of them.
class GroupRecursion {
public:
  GroupRecursion(const RouterShape& shape, const ExpertOdds& odds, int g)
      : degree_{static_cast<std::size_t>(shape.top_k) + 1},
        size_{static_cast<std::size_t>(shape.group_size())},
        take_{odds.take.data() + static_cast<std::size_t>(g) * size_},
        leave_{odds.leave.data() + static_cast<std::size_t>(g) * size_},
        forward_((size_ + 1) * degree_, 0.0) {
    forward_[0] = 1;
    for (std::size_t i = 0; i < size_; ++i) {
      const double* row = forward_.data() + i * degree_;
      double* next = forward_.data() + (i + 1) * degree_;
      next[0] = leave_[i] * row[0];
      for (std::size_t j = 1; j < degree_; ++j) next[j] = leave_[i] * row[j] + take_[i] * row[j - 1];
    }
  }

  std::span<const double> polynomial() const { return {forward_.data() + size_ * degree_, degree_}; }

  /// out [size]: sum over the group's subsets that hold the expert of their chance times value[subset size].
  void sums_with_each(std::span<const double> value, std::span<double> out) const {
    // after[j]: weight of all completions when j of the earlier experts are taken.
    std::vector<double> after{value.begin(), value.end()};
    for (std::size_t i = size_; i-- > 0;) {
      const double* row = forward_.data() + i * degree_;
      double sum = 0;
      for (std::size_t j = 0; j + 1 < degree_; ++j) {
        sum += row[j] * after[j + 1];
        after[j] = leave_[i] * after[j] + take_[i] * after[j + 1];
      }
      after[degree_ - 1] *= leave_[i];
      out[i] = take_[i] * sum;
    }
  }

private:
  std::size_t degree_, size_;
  const double *take_, *leave_;
  std::vector<double> forward_;
};

}  // namespace

OddsEvaluation::OddsEvaluation(const RouterShape& shape, const ExpertOdds& odds, bool with_count) {
  const auto degree = static_cast<std::size_t>(shape.top_k) + 1;
  const auto size = static_cast<std::size_t>(shape.group_size());
  std::vector<GroupRecursion> groups;
  for (int g = 0; g < shape.groups; ++g) {
    groups.emplace_back(shape, odds, g);
    const auto polynomial = groups.back().polynomial();
    in.insert(in.end(), polynomial.begin(), polynomial.end());
    out.push_back(polynomial[0]);
  }
  const GroupChain chain{shape, in, out};
  total = chain.total();
  inclusion.resize(static_cast<std::size_t>(shape.experts));
  if (with_count) times_count.resize(inclusion.size());
  std::vector<double> rest(degree), value(degree);
  for (std::size_t g = 0; g < groups.size(); ++g) {
    chain.rest_of(static_cast<int>(g), rest);
    for (std::size_t j = 0; j < degree; ++j) value[j] = rest[degree - 1 - j] / total;
    groups[g].sums_with_each(value, std::span{inclusion}.subspan(g * size, size));
    if (!with_count) continue;
    for (std::size_t j = 0; j < degree; ++j) value[j] *= static_cast<double>(j);
    groups[g].sums_with_each(value, std::span{times_count}.subspan(g * size, size));
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

std::vector<double> slopes_on_groups(const RouterShape& shape, const ExpertOdds& odds,
                                     std::span<const double> group_covariance) {
  constexpr double kConstantCount = 1e-12;  // below this variance a group's count is constant but for rounding
  const auto size = static_cast<std::size_t>(shape.group_size()), groups = static_cast<std::size_t>(shape.groups);
  std::vector<double> slopes(static_cast<std::size_t>(shape.experts), 0.0);
  if (groups == 1) return slopes;
  const OddsEvaluation sums{shape, odds, true};
  for (std::size_t g = 0; g < groups; ++g) {
    const double variance = group_covariance[g * groups + g];
    if (variance < kConstantCount) continue;
    double mean = 0;
    for (std::size_t e = g * size; e < (g + 1) * size; ++e) mean += sums.inclusion[e];
    for (std::size_t e = g * size; e < (g + 1) * size; ++e)
      slopes[e] = (sums.times_count[e] - sums.inclusion[e] * mean) / variance;
  }
  return slopes;
}

}  // namespace moesim
