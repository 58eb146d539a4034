#pragma once
// One layer's measured loads in a few numbers: how skewed, and which formula comes near (domain rules D.3).

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace moesim {

/// Families of shares. What a family's shares look like is its expected order statistics, most popular first.
enum class LoadFamily { uniform, zipf, dirichlet, lognormal, power_law };
inline constexpr int kLoadFamilies = 5;
const char* name_of(LoadFamily family);

struct FamilyFit {
  std::optional<double> parameter;  ///< exponent, concentration, sigma or alpha; none: uniform, or loads all equal
  double kl = 0;                    ///< sum p ln(p / q) over ranks, p measured, q the family's
  double max_over_mean = 1;         ///< of q
};

struct LoadFit {
  double total = 0;  ///< assignments
  double max_over_mean = 1;
  double cv = 0;  ///< standard deviation over experts / mean
  /// Exponent that maximises the likelihood of the counts by rank, and the slope of ln count on ln rank over experts
  /// that were chosen (kept to compare with what others publish).
  double zipf_exponent = 0, zipf_regression = 0;
  /// ((1/E)(1 - 1/E) / Var(p) - 1) / E; none when all loads are equal, or more skewed than any Dirichlet.
  std::optional<double> dirichlet_concentration;
  FamilyFit family[kLoadFamilies];        ///< by LoadFamily
  LoadFamily best = LoadFamily::uniform;  ///< of the smallest kl
  double kl_noise = 0;                    ///< (E - 1) / (2 total): kl that counting noise alone gives
};

/// counts [experts] >= 0. Power law and lognormal take an expert that was never chosen for half a token.
/// Throws std::invalid_argument for no experts, a negative or non-finite count, or counts that are all zero.
LoadFit fit_loads(std::span<const double> counts);

struct Interval {
  double low = 0, high = 0;
  bool holds(double value) const { return low <= value && value <= high; }
};

/// 2.5 % and 97.5 % quantiles of values, which are sorted in place; linear between neighbours. Throws
/// std::invalid_argument for none.
Interval interval_of(std::vector<double>& values);

/// 95 % interval of max/mean when every assignment is drawn anew (Poisson bootstrap, `resamples` of it).
Interval bootstrap_max_over_mean(std::span<const double> counts, int resamples, std::uint64_t seed);

/// Loads of `ranks` equal runs of consecutive experts, max over mean. ranks divides the experts.
double rank_max_over_mean(std::span<const double> counts, int ranks);

/// 2, 4, 8 ... that divide the experts, at most their number.
std::vector<int> rank_counts(int experts);

}  // namespace moesim
