#pragma once
// The permutation before GEMM1 as a copy of its own: out[row] = x[token_of_row[row]] for the rows of a tile map. The
// grouped GEMM can gather by itself (GroupedGemm::a_row); which of the two is faster is a matter of measurement.

#include "models/kernels/cuda/tile_map.cuh"

namespace moesim::cuda {

constexpr int kGatherThreads = 128;

/// x [tokens, width] -> out [rows, width]; width divides by 8. Any number of blocks; each takes whole tiles.
MOESIM_KERNEL gather_rows(const Bf16* x, const int* token_of_row, TileMap map, int tile_rows, int width, Bf16* out) {
  const int tiles = global_load(map.tiles), vectors = width / 8;
  for (int item = block_index(); item < tiles; item += block_count()) {
    const TileAt tile = tile_at(map, item, 1, tile_rows);
    const int rows = tile.rows < tile_rows ? tile.rows : tile_rows;
    for (int at = thread_index(); at < rows * vectors; at += block_threads()) {
      const auto row = static_cast<std::size_t>(tile.row + at / vectors);
      const auto token = static_cast<std::size_t>(global_load(token_of_row + row));
      const auto stride = static_cast<std::size_t>(width);
      const int column = at % vectors * 8;
      global_store(reinterpret_cast<Vector16*>(out + row * stride + column),
                   global_load(reinterpret_cast<const Vector16*>(x + token * stride + column)));
    }
  }
}

}  // namespace moesim::cuda
