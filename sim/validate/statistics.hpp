#pragma once
// How far predictions are from what was measured.

#include <optional>
#include <span>

namespace moesim {

struct PredictedPair {
  double predicted = 0, measured = 0;  ///< both above zero

  double error() const { return predicted / measured - 1; }
};

struct ErrorStatistics {
  int n = 0;
  double median = 0, p90 = 0;      ///< of |error|
  double bias = 0;                 ///< median of the signed error: below zero, predictions are too small
  std::optional<double> ordering;  ///< rank correlation; none below three pairs or where all are equal
};

/// At least one pair, else std::invalid_argument.
ErrorStatistics error_statistics(std::span<const PredictedPair> pairs);

/// Between order statistics, linear: the median of 1, 2, 3, 10 is 2.5. share in [0, 1]
double quantile(std::span<const double> values, double share);

/// Spearman's: the correlation of the ranks, equals with their mean rank.
std::optional<double> rank_correlation(std::span<const PredictedPair> pairs);

}  // namespace moesim
