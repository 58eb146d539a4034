#include "models/routing/quantile_tables.hpp"

#include <algorithm>
#include <cmath>

#include "models/units/random.hpp"

namespace moesim {

namespace {

constexpr double kRareMean = 0.05;
constexpr double kRareZ = 1.6;  // below it P(n = 0) >= exp(-kRareMean) holds the point: quantile(exp(-0.05)) = 1.66

/// For rare experts nearly every call is n = 0; the others are summed up from the exact chances.
std::int32_t rare_binomial(double tokens, double chance, double z) {
  double left = 0.5 * std::erfc(z / std::sqrt(2.0));  // P(normal > z)
  double at_least = -std::expm1(tokens * std::log1p(-chance));
  double exactly = 1 - at_least;
  std::int32_t n = 0;
  while (left < at_least && n < tokens) {
    exactly *= (tokens - n) / (n + 1) * chance / (1 - chance);
    ++n;
    at_least = std::max(0.0, at_least - exactly);
    if (exactly < 1e-14) break;  // what is left of at_least is rounding
  }
  return n;
}

}  // namespace

const NormalTable& NormalTable::get() {
  static const NormalTable kTable;
  return kTable;
}

NormalTable::NormalTable() {
  for (std::uint32_t cell = 1; cell < kCells; ++cell) edge_[cell] = normal_quantile(static_cast<double>(cell) / kCells);
}

double NormalTable::tail(std::uint32_t word) {
  return normal_quantile((static_cast<double>(word) + 0.5) * 0x1p-32);
}

const SmallBinomial& SmallBinomial::get() {
  static const SmallBinomial kTable;
  return kTable;
}

SmallBinomial::SmallBinomial() {
  constexpr double kNever = 38;  // beyond the quantile of every double
  for (auto& row : threshold_) row[0] = static_cast<float>(kNever);
  for (int cell = 1; cell <= kCells; ++cell) {
    const double mean = std::pow(cell / kCellsPerRootMean, 2);
    std::array<double, 2 * kMostLoads> chance{};
    chance[0] = std::exp(-mean);
    for (std::size_t n = 1; n < chance.size(); ++n) chance[n] = chance[n - 1] * mean / static_cast<double>(n);
    double above = 0;  // summed from the far end, so that small tails keep their digits
    for (std::size_t n = chance.size(); n-- > kMostLoads;) above += chance[n];
    for (std::size_t n = kMostLoads; n-- > 0;) {
      const double z = above > 1e-300 ? (above < 0.5 ? -normal_quantile(above) : normal_quantile(1 - above)) : kNever;
      threshold_[n][static_cast<std::size_t>(cell)] = static_cast<float>(z);
      above += chance[n];
    }
  }
}

double SmallBinomial::threshold(int n, double mean) const {
  const double at = std::sqrt(mean) * kCellsPerRootMean;
  const int cell = std::min(static_cast<int>(at), kCells - 1);
  const float* row = threshold_[static_cast<std::size_t>(n)].data() + cell;
  return row[0] + (at - cell) * static_cast<double>(row[1] - row[0]);
}

double SmallBinomial::at(double tokens, double chance, double z) const {
  const double mean = tokens * chance;
  if (mean < kRareMean) return z < kRareZ ? 0 : rare_binomial(tokens, chance, z);
  // P(Binomial(T, p) <= n) = P(Poisson((2T - n) p / (2 - p)) <= n) with an error of order p^2
  // (Bolshev's approximation; Johnson, Kemp, Kotz, Univariate Discrete Distributions, section 3.6).
  const double step = chance / (2 - chance);
  const auto end_of = [&](int n) { return threshold(n, (2 * tokens - n) * step); };
  const double sd = std::sqrt(mean * (1 - chance));
  int n = static_cast<int>(std::max(0.0, mean + 0.5 + z * sd + (z * z - 1) / 6));
  n = std::min(n, kMostLoads - 2);
  double end = end_of(n), begin = n > 0 ? end_of(n - 1) : 2 * end - end_of(1);
  while (z > end && n + 1 < kMostLoads) {
    begin = end;
    end = end_of(++n);
  }
  while (n > 0 && z <= begin) {
    end = begin;
    begin = --n > 0 ? end_of(n - 1) : 2 * end - end_of(1);
  }
  return std::clamp(n - 0.5 + (z - begin) / (end - begin), n - 0.5, n + 0.499999);
}

}  // namespace moesim
