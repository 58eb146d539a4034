#pragma once
// c[rows of e] = a[rows of e] b[e]^T for every expert e of a tile map: bf16 in, fp32 sums, bf16 out. Tensor cores
// through mma.sync (sm_80 and newer), operands through a cp.async ring that runs on across tiles, blocks persistent.
//
//   a [rows, k]        activations, row-major; optionally gathered through row indices
//   b [experts, n, k]  weights, row-major: a row of b is a column of the product
//   c [rows, n], or [rows, n / 2] with SwiGLU, where b has 8 gate rows, then their 8 up rows, and so on

#include "models/kernels/cuda/copy_ring.cuh"
#include "models/kernels/cuda/epilogue.cuh"

namespace moesim::cuda {

/// The sums of one thread: Tile::kMmaM x Tile::kMmaN fragments of 16 x 8.
template <class Tile>
struct Sums {
  float d[Tile::kMmaM][Tile::kMmaN][4];
};

/// The warp's share of one k step, out of stage `stage` of the ring.
template <class Tile, Fault kFault>
MOESIM_DEVICE void multiply_stage(Sums<Tile>& sums, std::uint32_t stage) {
  const auto lane = static_cast<std::uint32_t>(lane_index());
  const std::uint32_t warp_row = static_cast<std::uint32_t>(warp_index() / Tile::kWarpsN * Tile::kWarpRows);
  const std::uint32_t warp_column = static_cast<std::uint32_t>(warp_index() % Tile::kWarpsN * Tile::kWarpColumns);
  // Matrices 0..3 of an ldmatrix: for a, rows 0-7, 8-15, then both 8 deeper in k; for b, k first, then the rows.
  const std::uint32_t a_row = stage + (warp_row + lane % 16) * kStageRowBytes;
  const std::uint32_t b_lane = kFault == Fault::fragment_row ? lane % 8 + lane / 8 % 2 * 8 : lane % 8 + lane / 16 * 8;
  const std::uint32_t b_row = stage + Tile::kRows * kStageRowBytes + (warp_column + b_lane) * kStageRowBytes;
  MOESIM_UNROLL
  for (std::uint32_t chunk = 0; chunk < kStageChunks; chunk += 2) {
    std::uint32_t a[Tile::kMmaM][4], b[Tile::kMmaN / 2][4];
    MOESIM_UNROLL
    for (std::uint32_t m = 0; m < Tile::kMmaM; ++m)
      load_matrices(a[m], a_row + m * 16 * kStageRowBytes + swizzled(chunk + lane / 16, lane));
    MOESIM_UNROLL
    for (std::uint32_t n = 0; n < Tile::kMmaN / 2; ++n)
      load_matrices(b[n], b_row + n * 16 * kStageRowBytes + swizzled(chunk + lane / 8 % 2, lane));
    MOESIM_UNROLL
    for (int m = 0; m < Tile::kMmaM; ++m) {
      MOESIM_UNROLL
      for (int n = 0; n < Tile::kMmaN; ++n)
        multiply_add(sums.d[m][n], a[m], b[n / 2][n % 2 * 2], b[n / 2][n % 2 * 2 + 1]);
    }
  }
}

/// Writes the warp's share of a tile; rows past the expert's last are left alone.
template <class Tile, Epilogue kEpilogue, Fault kFault>
MOESIM_DEVICE void write_tile(const Sums<Tile>& sums, const GroupedGemm& gemm, const TileAt& tile) {
  constexpr int kPerOut = kGated<kEpilogue> ? 2 : 1;  // columns of b per column of c
  const int width = gemm.n / kPerOut;
  const int warp_column = tile.column * Tile::kColumns + warp_index() % Tile::kWarpsN * Tile::kWarpColumns;
  const int own = lane_index() % 4 * 2;
  MOESIM_UNROLL
  for (int eight = 0; eight < 2 * Tile::kMmaM; ++eight) {  // a fragment has rows lane / 4 and lane / 4 + 8
    const int row = warp_index() / Tile::kWarpsN * Tile::kWarpRows + eight * 8 + lane_index() / 4;
    if (row >= tile.rows && kFault != Fault::row_guard) continue;
    const float scale = row_scale_of<kEpilogue>(gemm, tile.row + row);
    Bf16* out = gemm.c + static_cast<std::size_t>(tile.row + row) * static_cast<std::size_t>(width) +
                warp_column / kPerOut + own;
    MOESIM_UNROLL
    for (int n = 0; n < Tile::kMmaN; n += kPerOut) {
      const float(&d)[4] = sums.d[eight / 2][n], (&up)[4] = sums.d[eight / 2][n + kPerOut - 1];
      const int at = eight % 2 * 2;
      const float pair[2] = {d[at], d[at + 1]}, up_pair[2] = {up[at], up[at + 1]};
      global_store(reinterpret_cast<std::uint32_t*>(out + n / kPerOut * 8),
                   finished_pair<kEpilogue>(gemm, tile.expert, warp_column + n * 8 + own, pair, up_pair, scale));
    }
  }
}

/// Any number of blocks of Tile::kThreads threads with Tile::kSharedBytes; n divides by Tile::kColumns, k by
/// kStageDepth.
template <class Tile, Epilogue kEpilogue, Fault kFault = Fault::none>
MOESIM_KERNEL MOESIM_LAUNCH_BOUNDS(Tile::kThreads, Tile::kBlocksPerSm) grouped_gemm(GroupedGemm gemm) {
  static_assert(!kGated<kEpilogue> || Tile::kMmaN % 2 == 0, "gate and up of a column meet in one thread");
  CopyRing<Tile, kFault> ring{gemm};
  const int columns = gemm.n / Tile::kColumns, steps = gemm.k / kStageDepth;
  const int items = global_load(gemm.map.tiles) * columns;
  for (int item = block_index(); item < items; item += block_count()) {
    const TileAt tile = tile_at(gemm.map, item, columns, Tile::kRows);
    Sums<Tile> sums{};
    for (int step = 0; step < steps; ++step) multiply_stage<Tile, kFault>(sums, ring.next());
    write_tile<Tile, kEpilogue, kFault>(sums, gemm, tile);
  }
}

}  // namespace moesim::cuda
