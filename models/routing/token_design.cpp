#include "models/routing/token_design.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "models/routing/design_fit.hpp"

namespace moesim {

TokenDesign::TokenDesign(const RouterShape& shape, std::span<const double> inclusion)
    : shape_{shape}, wanted_{inclusion.begin(), inclusion.end()} {
  auto odds = fit_odds(shape, inclusion);
  if (!odds) throw std::invalid_argument{"no law of this router has these inclusion probabilities"};
  odds_ = std::move(*odds);
  OddsEvaluation sums{shape_, odds_};
  in_ = std::move(sums.in);
  out_ = std::move(sums.out);
  total_ = sums.total;
}

std::vector<double> TokenDesign::inclusion() const {
  return OddsEvaluation{shape_, odds_}.inclusion;
}

std::vector<double> TokenDesign::group_covariance() const {
  return covariance_of_groups(shape_, in_, out_);
}

std::vector<double> TokenDesign::group_slopes(std::span<const double> group_covariance) const {
  return slopes_on_groups(shape_, odds_, group_covariance);
}

double TokenDesign::hit_chance(std::span<const double> mark) const {
  // P(no marked expert) = E[prod over taken (1 - mark)]: the same sums with w_e (1 - mark_e) for the kept groups.
  const auto degree = static_cast<std::size_t>(shape_.top_k) + 1;
  const auto size = static_cast<std::size_t>(shape_.group_size());
  std::vector<double> in = in_;
  for (std::size_t g = 0; g < static_cast<std::size_t>(shape_.groups); ++g) {
    const auto marks = mark.subspan(g * size, size);
    if (std::all_of(marks.begin(), marks.end(), [](double m) { return m == 0; })) continue;
    const std::span<double> poly{in.data() + g * degree, degree};
    std::fill(poly.begin(), poly.end(), 0.0);
    poly[0] = 1;
    for (std::size_t i = 0; i < size; ++i) {
      const std::size_t e = g * size + i;
      const double take = odds_.take[e] * (1 - marks[i]), leave = odds_.leave[e];
      for (std::size_t j = degree - 1; j > 0; --j) poly[j] = leave * poly[j] + take * poly[j - 1];
      poly[0] *= leave;
    }
  }
  const double none = GroupChain{shape_, in, out_}.total();
  return std::clamp(1 - none / total_, 0.0, 1.0);
}

}  // namespace moesim
