#include <algorithm>
#include <stdexcept>

#include <fmt/format.h>

#include "models/routing/token_design.hpp"

namespace moesim {

RouterShape shape_of(const RouterSpec& router, int experts, int top_k) {
  RouterShape shape{experts, top_k, 1, 1};
  if (router.groups > 1 && router.kept_groups < router.groups) {
    shape.groups = router.groups;
    shape.kept = router.kept_groups;
  }
  if (experts < 1 || top_k < 1 || shape.kept < 1 || experts % shape.groups != 0 ||
      top_k > shape.kept * shape.group_size())
    throw std::invalid_argument{
        fmt::format("top {} of {} experts in {} of {} groups", top_k, experts, shape.kept, shape.groups)};
  return shape;
}

GroupChain::GroupChain(const RouterShape& shape, std::span<const double> in, std::span<const double> out)
    : shape_{shape} {
  const auto degree = static_cast<std::size_t>(shape.top_k) + 1;
  const std::size_t row = (static_cast<std::size_t>(shape.kept) + 1) * degree;
  const auto groups = static_cast<std::size_t>(shape.groups);
  prefix_.assign((groups + 1) * row, 0.0);
  suffix_.assign((groups + 1) * row, 0.0);
  prefix_[0] = 1;
  suffix_[groups * row] = 1;
  const std::span<double> prefix{prefix_}, suffix{suffix_};
  for (std::size_t g = 0; g < groups; ++g)
    multiply(prefix.subspan(g * row, row), prefix.subspan((g + 1) * row, row), in.subspan(g * degree, degree), out[g]);
  for (std::size_t g = groups; g-- > 0;)
    multiply(suffix.subspan((g + 1) * row, row), suffix.subspan(g * row, row), in.subspan(g * degree, degree), out[g]);
}

void GroupChain::multiply(std::span<const double> from, std::span<double> to, std::span<const double> in,
                          double out) const {
  const std::size_t degree = in.size();
  for (std::size_t j = 0; j < from.size(); ++j) to[j] = out * from[j];
  for (std::size_t kept = 1; kept * degree < from.size(); ++kept) {
    const double* lower = from.data() + (kept - 1) * degree;
    double* upper = to.data() + kept * degree;
    for (std::size_t i = 0; i < degree; ++i)
      for (std::size_t j = i; j < degree; ++j) upper[j] += in[i] * lower[j - i];
  }
}

double GroupChain::total() const {
  return suffix(0, shape_.kept, shape_.top_k);
}

void GroupChain::rest_of(int g, std::span<double> rest) const {
  std::fill(rest.begin(), rest.end(), 0.0);
  for (int before = 0; before < shape_.kept; ++before) {
    const double* left = prefix_.data() + index(g, before, 0);
    const double* right = suffix_.data() + index(g + 1, shape_.kept - 1 - before, 0);
    for (std::size_t i = 0; i < rest.size(); ++i)
      for (std::size_t j = i; j < rest.size(); ++j) rest[j] += left[i] * right[j - i];
  }
}

}  // namespace moesim
