#pragma once
// Quantiles by table: of the normal law, and of binomial laws with a small mean.

#include <array>
#include <cstdint>

namespace moesim {

/// Standard normal of a uniform 32-bit word. Within 1e-3 of the exact quantile; exact in the outer 1 %.
class NormalTable {
public:
  static const NormalTable& get();

  double at(std::uint32_t word) const {
    const std::uint32_t cell = word >> kFractionBits;
    if (cell - kTail >= kCells - 2 * kTail) return tail(word);
    const double fraction = static_cast<double>(word & ((1u << kFractionBits) - 1)) * kCellWidth;
    return edge_[cell] + fraction * (edge_[cell + 1] - edge_[cell]);
  }

private:
  NormalTable();
  static double tail(std::uint32_t word);

  static constexpr std::uint32_t kFractionBits = 22, kCells = 1u << (32 - kFractionBits), kTail = 6;
  static constexpr double kCellWidth = 1.0 / (1u << kFractionBits);
  std::array<double, kCells + 1> edge_{};
};

/// The load of an expert that each of `tokens` tokens takes with chance `chance`, at the point where the standard
/// normal has value z: the binomial quantile n, as n + d with d in [-1/2, 1/2) its place between the z at which n
/// begins and ends. For tokens > 128, chance up to 1/4, tokens * chance up to kLargestMean.
class SmallBinomial {
public:
  static constexpr double kLargestMean = 14;
  static const SmallBinomial& get();

  double at(double tokens, double chance, double z) const;

private:
  SmallBinomial();
  double threshold(int n, double mean) const;

  static constexpr int kMostLoads = 64, kCells = 256;
  static constexpr double kCellsPerRootMean = 64;  // the grid is even in sqrt(mean), where thresholds are near linear
  std::array<std::array<float, kCells + 1>, kMostLoads> threshold_{};  // [n][cell]: normal quantile of P(Poisson <= n)
};

}  // namespace moesim
