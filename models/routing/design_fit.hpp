#pragma once
// Fitting the weights of a TokenDesign, and the sums that its law needs.

#include <optional>
#include <span>
#include <vector>

#include "models/routing/token_design.hpp"

namespace moesim {

/// All first-order sums of a design with given weights, by forward and backward recursions whose terms are all
/// non-negative (no cancellation): O(experts * top_k).
struct OddsEvaluation {
  OddsEvaluation(const RouterShape& shape, const ExpertOdds& odds);

  std::vector<double> in, out;  ///< see TokenDesign::group_polynomials
  double total = 0;
  std::vector<double> inclusion;  ///< [experts]
};

/// The weights whose inclusion probabilities are `inclusion` within 1e-11; none when the fit finds no such law.
std::optional<ExpertOdds> fit_odds(const RouterShape& shape, std::span<const double> inclusion);

/// Covariance [groups * groups] of the experts that a token takes from each group.
std::vector<double> covariance_of_groups(const RouterShape& shape, std::span<const double> in,
                                         std::span<const double> out);

}  // namespace moesim
