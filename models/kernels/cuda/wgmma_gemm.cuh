#pragma once
// The grouped GEMM of grouped_gemm.cuh for Hopper (sm_90a): one thread has the copy engine fetch tiles through tensor
// maps, two warpgroups multiply them with wgmma straight out of shared memory. Stages pass between them through two
// mbarriers each: `full` counts bytes, `empty` the warps that have read.
//
// Rows cannot be gathered: a tile of a is a box of its tensor map. Rows of the box past the expert's last belong to
// others or lie outside; their sums are not written.

#include "models/kernels/cuda/epilogue.cuh"
#include "models/kernels/cuda/fault.hpp"
#include "models/kernels/cuda/primitives_hopper.cuh"
#include "models/kernels/cuda/tile_map.cuh"

namespace moesim::cuda {

struct WgmmaGemm {
  TensorMap a;  ///< [all rows, k], boxes of WgmmaShape::kRows
  TensorMap b;  ///< [experts * n, k], boxes of WgmmaShape::kColumns
  GroupedGemm gemm;
};

/// 128 rows x `columns` of c; 64 of the rows for each of two warpgroups.
template <int columns, int stages>
struct WgmmaShape {
  static constexpr int kRows = 128, kColumns = columns, kStages = stages, kDepth = 64;
  static constexpr int kConsumerGroups = 2, kGroupThreads = 128, kGroupRows = kRows / kConsumerGroups;
  static constexpr int kThreads = (1 + kConsumerGroups) * kGroupThreads;
  static constexpr int kConsumerWarps = kConsumerGroups * kGroupThreads / kWarp;
  static constexpr std::uint32_t kRowBytes = kDepth * 2;
  static constexpr std::uint32_t kBytesA = kRows * kRowBytes, kStageBytes = kBytesA + columns * kRowBytes;
  static constexpr std::uint32_t kBarriers = stages * kStageBytes;  ///< offset: full, empty of every stage
  static constexpr int kSharedBytes = static_cast<int>(kBarriers) + stages * 16;
  static_assert(kStageBytes % 1024 == 0, "the swizzle repeats every 1024 bytes");
};

/// A stage of the ring, and how often it has come round.
template <class Shape>
struct StageAt {
  std::uint32_t index = 0, turn = 0;
  MOESIM_DEVICE std::uint32_t tile() const { return shared_base() + index * Shape::kStageBytes; }
  MOESIM_DEVICE std::uint32_t full() const { return shared_base() + Shape::kBarriers + index * 16; }
  MOESIM_DEVICE std::uint32_t empty() const { return full() + 8; }
  MOESIM_DEVICE std::uint32_t parity() const { return turn & 1; }
  MOESIM_DEVICE void advance() {
    if (++index == Shape::kStages) index = 0, ++turn;
  }
};

/// One thread: every tile of every item of the block, as far ahead as there are stages.
template <class Shape>
MOESIM_DEVICE void fetch_tiles(const WgmmaGemm& problem) {
  const GroupedGemm& gemm = problem.gemm;
  const int columns = gemm.n / Shape::kColumns, items = global_load(gemm.map.tiles) * columns;
  StageAt<Shape> stage;
  for (int item = block_index(); item < items; item += block_count()) {
    const TileAt tile = tile_at(gemm.map, item, columns, Shape::kRows);
    const int b_row = tile.expert * gemm.n + tile.column * Shape::kColumns;
    for (int k = 0; k < gemm.k; k += Shape::kDepth, stage.advance()) {
      wait_phase(stage.empty(), stage.parity() ^ 1);  // the first turn finds every stage empty
      arrive_expecting(stage.full(), Shape::kStageBytes);
      copy_tile_async(stage.tile(), problem.a, k, tile.row, stage.full());
      copy_tile_async(stage.tile() + Shape::kBytesA, problem.b, k, b_row, stage.full());
    }
  }
}

/// The warp has read the stage. Each warp for itself: when one is done the other three may not be.
template <class Shape, Fault kFault>
MOESIM_DEVICE void release(const StageAt<Shape>& stage) {
  if (kFault == Fault::release) {
    for (int i = 0; i < 4; ++i)
      if (lane_index() == 0 && warp_index() % 4 == 0) arrive_at_phase(stage.empty());
  } else if (lane_index() == 0) {
    arrive_at_phase(stage.empty());
  }
}

/// Puts the products of one stage in line.
template <class Shape, Fault kFault>
MOESIM_DEVICE void line_up_stage(float (&d)[Shape::kColumns / 2], const StageAt<Shape>& stage, bool accumulate) {
  const auto group = static_cast<std::uint32_t>(warp_index() / 4 - 1);
  const std::uint32_t a = stage.tile() + group * Shape::kGroupRows * Shape::kRowBytes,
                      b = stage.tile() + Shape::kBytesA;
  constexpr std::uint32_t kStepBytes = kFault == Fault::fragment_row ? 16 : 32;  // of 16 along k
  begin_multiplies();
  MOESIM_UNROLL
  for (std::uint32_t step = 0; step < Shape::kDepth / 16; ++step)
    multiply_add_async<Shape::kColumns>(d, tile_descriptor(a + step * kStepBytes),
                                        tile_descriptor(b + step * kStepBytes), accumulate || step > 0);
  commit_multiplies();
}

/// Writes the warp's 16 rows of a tile; rows past the expert's last are left alone.
template <class Shape, Epilogue kEpilogue, Fault kFault>
MOESIM_DEVICE void write_rows(const float (&d)[Shape::kColumns / 2], const GroupedGemm& gemm, const TileAt& tile) {
  constexpr int kPerOut = kGated<kEpilogue> ? 2 : 1;
  const auto width = static_cast<std::size_t>(gemm.n / kPerOut);
  const int column = tile.column * Shape::kColumns, own = lane_index() % 4 * 2;
  MOESIM_UNROLL
  for (int half = 0; half < 2; ++half) {
    const int row = (warp_index() - 4) * 16 + half * 8 + lane_index() / 4;
    if (row >= tile.rows && kFault != Fault::row_guard) continue;
    const float scale = row_scale_of<kEpilogue>(gemm, tile.row + row);
    Bf16* out = gemm.c + static_cast<std::size_t>(tile.row + row) * width + column / kPerOut + own;
    MOESIM_UNROLL
    for (int n = 0; n < Shape::kColumns / 8; n += kPerOut) {
      const int at = n * 4 + half * 2, up = at + (kPerOut - 1) * 4;
      const float pair[2] = {d[at], d[at + 1]}, up_pair[2] = {d[up], d[up + 1]};
      global_store(reinterpret_cast<std::uint32_t*>(out + n / kPerOut * 8),
                   finished_pair<kEpilogue>(gemm, tile.expert, column + n * 8 + own, pair, up_pair, scale));
    }
  }
}

/// A warpgroup: its 64 rows of every item of the block.
template <class Shape, Epilogue kEpilogue, Fault kFault>
MOESIM_DEVICE void multiply_tiles(const GroupedGemm& gemm) {
  const int columns = gemm.n / Shape::kColumns, items = global_load(gemm.map.tiles) * columns;
  StageAt<Shape> stage;
  for (int item = block_index(); item < items; item += block_count()) {
    float d[Shape::kColumns / 2];
    StageAt<Shape> last = stage;
    for (int k = 0; k < gemm.k; k += Shape::kDepth) {
      if (kFault != Fault::barrier) wait_phase(stage.full(), stage.parity());
      line_up_stage<Shape, kFault>(d, stage, k > 0);
      if (k > 0) {  // one stage is multiplied while the next is put in line
        wait_multiplies<kFault == Fault::wait_depth ? 2 : 1>();
        release<Shape, kFault>(last);
      }
      last = stage;
      stage.advance();
    }
    wait_multiplies<0>();
    keep_sums(d);
    release<Shape, kFault>(last);
    write_rows<Shape, kEpilogue, kFault>(d, gemm, tile_at(gemm.map, item, columns, Shape::kRows));
  }
}

/// Any number of blocks of Shape::kThreads threads with Shape::kSharedBytes; n divides by Shape::kColumns, k by
/// Shape::kDepth; gemm.a_row is null.
template <class Shape, Epilogue kEpilogue, Fault kFault = Fault::none>
MOESIM_KERNEL MOESIM_LAUNCH_BOUNDS(Shape::kThreads, 1) wgmma_gemm(const MOESIM_GRID_CONSTANT WgmmaGemm problem) {
  if (thread_index() == 0) {
    for (StageAt<Shape> stage; stage.turn == 0; stage.advance()) {
      init_phase_barrier(stage.full(), 1);
      init_phase_barrier(stage.empty(), Shape::kConsumerWarps);
    }
    publish_phase_barriers();
  }
  barrier();
  if (warp_index() < 4) {
    give_registers<40>();
    if (thread_index() == 0) fetch_tiles<Shape>(problem);
  } else {
    take_registers<232>();
    multiply_tiles<Shape, kEpilogue, kFault>(problem.gemm);
  }
}

using Wgmma128 = WgmmaShape<128, 6>;  // 192 KiB
using Wgmma192 = WgmmaShape<192, 5>;  // 200 KiB; 2880 divides by it
using Wgmma256 = WgmmaShape<256, 4>;  // 192 KiB

}  // namespace moesim::cuda
