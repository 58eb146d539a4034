#pragma once
// The operands of the grouped GEMM on their way into shared memory: a ring of stages, each 64 deep in k, filled by
// cp.async ahead of the multiplication and across the ends of tiles.

#include "models/kernels/cuda/fault.hpp"
#include "models/kernels/cuda/tile_map.cuh"

namespace moesim::cuda {

constexpr int kStageDepth = 64;  ///< in k
constexpr std::uint32_t kStageRowBytes = kStageDepth * 2;
constexpr std::uint32_t kStageChunks = kStageRowBytes / 16;

/// A tile of rows x columns of c, shared by warps_m x warps_n warps, with a ring of `stages`.
template <int rows, int columns, int warps_m, int warps_n, int stages, int blocks_per_sm>
struct TileShape {
  static constexpr int kRows = rows, kColumns = columns, kWarpsM = warps_m, kWarpsN = warps_n, kStages = stages;
  static constexpr int kBlocksPerSm = blocks_per_sm;  ///< what the registers are limited for
  static constexpr int kThreads = warps_m * warps_n * kWarp;
  static constexpr int kWarpRows = rows / warps_m, kWarpColumns = columns / warps_n;
  static constexpr int kMmaM = kWarpRows / 16, kMmaN = kWarpColumns / 8;
  static constexpr int kStageBytes = (rows + columns) * static_cast<int>(kStageRowBytes);
  static constexpr int kSharedBytes = stages * kStageBytes;
  static_assert(kWarpRows % 16 == 0 && kWarpColumns % 16 == 0, "ldmatrix.x4 loads 16 rows");
  static_assert(rows * kStageChunks % kThreads == 0 && columns * kStageChunks % kThreads == 0, "every thread copies");
  static_assert(kThreads / kStageChunks % 8 == 0, "the swizzle of a thread is the same in all its rows");
  static_assert(stages >= 2);
};

/// Byte offset of a 16-byte chunk within row `row` of a stage: eight rows of one chunk fall into eight different bank
/// groups, so that neither ldmatrix nor cp.async conflicts.
MOESIM_DEVICE std::uint32_t swizzled(std::uint32_t chunk, std::uint32_t row) {
  return (chunk ^ row % 8) * 16;
}

template <class Tile, Fault kFault>
class CopyRing {
public:
  /// Fills all but one stage.
  MOESIM_DEVICE explicit CopyRing(const GroupedGemm& gemm)
      : gemm_{gemm},
        items_{global_load(gemm.map.tiles) * (gemm.n / Tile::kColumns)},
        item_{block_index()},
        target_{shared_base() + row_of_thread() * kStageRowBytes + swizzled(chunk_of_thread(), row_of_thread())} {
    aim();
    for (int stage = 0; stage < Tile::kStages - 1; ++stage) fill();
  }

  /// Waits for the oldest stage and refills the one before it; returns the stage's address. Valid until the next call.
  MOESIM_DEVICE std::uint32_t next() {
    wait_copies<Tile::kStages - 2 + (kFault == Fault::wait_depth ? 1 : 0)>();
    if (kFault != Fault::barrier) barrier();  // all copies have arrived, and nobody reads the stage refilled now
    fill();
    const std::uint32_t stage = shared_base() + static_cast<std::uint32_t>(use_stage_) * Tile::kStageBytes;
    use_stage_ = use_stage_ + 1 == Tile::kStages ? 0 : use_stage_ + 1;
    return stage;
  }

private:
  static constexpr int kRowsAtOnce = Tile::kThreads / static_cast<int>(kStageChunks);
  static constexpr int kCopiesA = Tile::kRows / kRowsAtOnce, kCopiesB = Tile::kColumns / kRowsAtOnce;

  MOESIM_DEVICE static std::uint32_t row_of_thread() {
    return static_cast<std::uint32_t>(thread_index()) / kStageChunks;
  }
  MOESIM_DEVICE static std::uint32_t chunk_of_thread() {
    return static_cast<std::uint32_t>(thread_index()) % kStageChunks;
  }

  /// Points the sources at the start of the current item.
  MOESIM_DEVICE void aim() {
    if (item_ >= items_) return;
    const TileAt tile = tile_at(gemm_.map, item_, gemm_.n / Tile::kColumns, Tile::kRows);
    const auto depth = static_cast<std::size_t>(gemm_.k);
    const int row = static_cast<int>(row_of_thread()), chunk = static_cast<int>(chunk_of_thread()) * 8;
    b_ = static_cast<const Bf16*>(gemm_.b) +
         (static_cast<std::size_t>(tile.expert) * static_cast<std::size_t>(gemm_.n) +
          static_cast<std::size_t>(tile.column * Tile::kColumns + row)) *
             depth +
         chunk;
    rows_left_ = tile.rows - row;
    MOESIM_UNROLL
    for (int i = 0; i < kCopiesA; ++i) {
      const bool wanted = i * kRowsAtOnce < rows_left_ || kFault == Fault::zero_fill;
      const int from = tile.row + (wanted ? row + i * kRowsAtOnce : 0);
      a_[i] = gemm_.a + static_cast<std::size_t>(gemm_.a_row ? global_load(gemm_.a_row + from) : from) * depth + chunk;
    }
  }

  /// Issues the copies of one stage, or an empty group when there is no work left.
  MOESIM_DEVICE void fill() {
    if (item_ < items_) {
      std::uint32_t target = target_ + static_cast<std::uint32_t>(fill_stage_) * Tile::kStageBytes;
      MOESIM_UNROLL
      for (int i = 0; i < kCopiesA; ++i, target += kRowsAtOnce * kStageRowBytes)
        copy_async16(target, a_[i] + k_, i * kRowsAtOnce < rows_left_ || kFault == Fault::zero_fill);
      MOESIM_UNROLL
      for (int i = 0; i < kCopiesB; ++i, target += kRowsAtOnce * kStageRowBytes)
        copy_async16(target, b_ + static_cast<std::size_t>(i * kRowsAtOnce) * static_cast<std::size_t>(gemm_.k) + k_,
                     true);
      k_ += kStageDepth;
      if (k_ == gemm_.k) {
        k_ = 0;
        item_ += block_count();
        aim();
      }
    }
    commit_copies();
    fill_stage_ = fill_stage_ + 1 == Tile::kStages ? 0 : fill_stage_ + 1;
  }

  const GroupedGemm& gemm_;
  const int items_;
  int item_;
  const std::uint32_t target_;  ///< where the thread's first copy goes in stage 0
  const Bf16* a_[kCopiesA] = {};
  const Bf16* b_ = nullptr;
  int rows_left_ = 0;
  int k_ = 0;
  int fill_stage_ = 0, use_stage_ = 0;
};

}  // namespace moesim::cuda
