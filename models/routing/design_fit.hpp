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
  OddsEvaluation(const RouterShape& shape, const ExpertOdds& odds, bool with_count = false);

  std::vector<double> in, out;  ///< see TokenDesign::group_polynomials
  double total = 0;
  std::vector<double> inclusion;    ///< [experts]
  std::vector<double> times_count;  ///< [experts], with_count only: E[taken * experts taken from its group]
};

/// The weights whose inclusion probabilities are `inclusion` within 1e-11; none when the fit finds no such law.
std::optional<ExpertOdds> fit_odds(const RouterShape& shape, std::span<const double> inclusion);

/// Covariance [groups * groups] of the experts that a token takes from each group.
std::vector<double> covariance_of_groups(const RouterShape& shape, std::span<const double> in,
                                         std::span<const double> out);

/// Slope of every expert's chance on the number taken from its group, see TokenDesign::group_slopes.
std::vector<double> slopes_on_groups(const RouterShape& shape, const ExpertOdds& odds,
                                     std::span<const double> group_covariance);

}  // namespace moesim
