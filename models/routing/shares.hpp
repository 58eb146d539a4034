#pragma once
// From "how popular" (shares that sum to 1) to "how often chosen" (inclusion probabilities that sum to k).

#include <span>
#include <vector>

namespace moesim {

/// Share of the i-th most popular expert, i^-exponent normalised to sum 1, most popular first.
///
/// exponent >= 0; 0 is uniform. Throws std::invalid_argument otherwise, or for experts < 1.
std::vector<double> zipf_shares(int experts, double exponent);

/// Inclusion probabilities top_k * share, none above `cap`; what exceeds it is spread over the others in proportion to
/// their shares (evenly when those are all zero).
///
/// shares [experts] : >= 0, any scale
/// Returns inclusion [experts], summing to top_k.
/// Throws std::invalid_argument for a negative or non-finite share, a zero sum, or cap * experts < top_k.
std::vector<double> water_fill(std::span<const double> shares, int top_k, double cap = 1.0);

/// Quantile of the density ~ x^-alpha on [least, most], 0 < least <= most: u in [0, 1].
double power_law_quantile(double alpha, double least, double most, double u);

}  // namespace moesim
