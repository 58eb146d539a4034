#include "models/kernels/tile_waves.hpp"

#include <algorithm>
#include <limits>

namespace moesim {
namespace {

constexpr std::array kSplits{1, 2, 4, 8};  // of k; more is rare in libraries

/// std::ceil for 0 <= x < 2^63 without a call into libm: this is the hot loop's innermost line.
double round_up(double x) {
  const auto below = static_cast<double>(static_cast<std::int64_t>(x));
  return below < x ? below + 1 : below;
}

}  // namespace

TileWaves::TileWaves(FlopsPerSecond sustained, int sms, double weight_share)
    : sms_(sms), weight_share_(weight_share), seconds_per_work_(2.0 * sms / sustained.value()) {}

Seconds TileWaves::best_columns(int rows_log2, double row_tiles, double columns, double k) const {
  double best = std::numeric_limits<double>::infinity();
  for (const int tile_columns : kTileColumns) {
    const double waves = round_up(row_tiles * round_up(columns / tile_columns) / sms_);
    best = std::min(best, waves * tile_work(1 << rows_log2, tile_columns, weight_share_));
  }
  return Seconds{best * k * seconds_per_work_};
}

Seconds TileWaves::best_dense(double m, double n, double k, double batch, BytesPerSecond memory) const {
  const Bytes partial_sums{8 * m * n * batch};
  Seconds best{std::numeric_limits<double>::infinity()};
  for (const int split : kSplits) {
    const Seconds reduction = split == 1 ? Seconds{0} : split * partial_sums / memory;
    for (const int rows_log2 : kTileRowsLog2) {
      const double row_tiles = batch * split * round_up(m / (1 << rows_log2));
      best = std::min(best, best_columns(rows_log2, row_tiles, n, k / split) + reduction);
    }
  }
  return best;
}

}  // namespace moesim
