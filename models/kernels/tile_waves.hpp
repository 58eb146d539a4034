#pragma once
// Tile quantisation of matrix products: output tiles over waves of SMs.

#include <array>
#include <cstdint>

#include "models/units/quantity.hpp"

namespace moesim {

/// Output tiles that grouped and dense GEMM libraries offer: rows (tokens) as a power of two, columns (weights).
inline constexpr std::array kTileRowsLog2{4, 5, 6, 7};
inline constexpr std::array kTileColumns{64, 128, 256};

/// What one tile keeps its SM busy with, as multiply-adds per unit of k: BM BN, or what feeding the tile takes if that
/// is more. An H100 SM does 4,096 dense bf16 FLOP (2,048 multiply-adds) and reads 64 B (32 elements) from L2 per clock,
/// so BM + BN elements cost as much as 64 (BM + BN) multiply-adds: tiles below 128 x 128 starve. fp8 doubles both rates
/// and leaves the factor. Taken for every GPU [assume].
/// weight_share: bits of a weight over those of an activation. Weight-only formats are unpacked inside the SM.
constexpr double tile_work(int rows, int columns, double weight_share = 1) {
  const double multiply_adds = static_cast<double>(rows) * columns;
  const double feeding = 64.0 * (rows + weight_share * columns);
  return multiply_adds > feeding ? multiply_adds : feeding;
}

/// Time of a (grouped) matrix product on tensor cores alone, from its tiles.
class TileWaves {
public:
  /// sustained: what fully occupied tensor cores reach (eta_0 peak). Requires sms > 0. weight_share: as tile_work.
  TileWaves(FlopsPerSecond sustained, int sms, double weight_share = 1);

  /// Column tile that finishes first, for `row_tiles` tiles of 2^rows_log2 rows over all groups.
  ///
  ///   waves = ceil(row_tiles ceil(columns/BN) / SMs);  t = waves 2 tile_work(BM, BN) k / (sustained / SMs)
  ///
  /// Grows with row_tiles, columns and k, so no larger product is ever faster.
  Seconds best_columns(int rows_log2, double row_tiles, double columns, double k) const;

  /// Best tile, and best split of k, of `batch` equal dense products [m, k] x [k, n]. Few tiles leave SMs idle;
  /// libraries then split k and add the fp32 partial sums, written and read once each: split x m x n x 8 B at `memory`.
  Seconds best_dense(double m, double n, double k, double batch, BytesPerSecond memory) const;

private:
  double sms_, weight_share_;
  double seconds_per_work_;  ///< one SM, one multiply-add of tile_work
};

}  // namespace moesim
