#include "sim/validate/statistics.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <vector>

namespace moesim {
namespace {

/// From 0; equals share the mean of theirs. [values]
std::vector<double> ranks(const std::vector<double>& values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
  std::vector<double> ranks(values.size());
  for (std::size_t first = 0; first < order.size();) {
    std::size_t last = first;
    while (last + 1 < order.size() && values[order[last + 1]] == values[order[first]]) ++last;
    for (std::size_t i = first; i <= last; ++i) ranks[order[i]] = static_cast<double>(first + last) / 2;
    first = last + 1;
  }
  return ranks;
}

template <class Figure>
std::vector<double> of_each(std::span<const PredictedPair> pairs, Figure figure) {
  std::vector<double> values;
  values.reserve(pairs.size());
  for (const PredictedPair& pair : pairs) values.push_back(figure(pair));
  return values;
}

}  // namespace

double quantile(std::span<const double> values, double share) {
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  const double at = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

std::optional<double> rank_correlation(std::span<const PredictedPair> pairs) {
  if (pairs.size() < 3) return std::nullopt;
  const auto x = ranks(of_each(pairs, [](const PredictedPair& pair) { return pair.predicted; }));
  const auto y = ranks(of_each(pairs, [](const PredictedPair& pair) { return pair.measured; }));
  const double mean = static_cast<double>(pairs.size() - 1) / 2;
  double xy = 0, xx = 0, yy = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    xy += (x[i] - mean) * (y[i] - mean);
    xx += (x[i] - mean) * (x[i] - mean);
    yy += (y[i] - mean) * (y[i] - mean);
  }
  if (xx == 0 || yy == 0) return std::nullopt;
  return xy / std::sqrt(xx * yy);
}

ErrorStatistics error_statistics(std::span<const PredictedPair> pairs) {
  if (pairs.empty()) throw std::invalid_argument{"error statistics of no pairs"};
  const auto size = of_each(pairs, [](const PredictedPair& pair) { return std::abs(pair.error()); });
  const auto signed_error = of_each(pairs, [](const PredictedPair& pair) { return pair.error(); });
  return {static_cast<int>(pairs.size()), quantile(size, 0.5), quantile(size, 0.9), quantile(signed_error, 0.5),
          rank_correlation(pairs)};
}

}  // namespace moesim
