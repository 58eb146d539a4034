#pragma once
// Builds the tile map of tile_map.cuh from the rows per expert.

#include "models/kernels/cuda/tile_map.cuh"

namespace moesim::cuda {

constexpr int kTileMapThreads = 256;
constexpr int kTileMapSharedBytes = 2 * 2 * kTileMapThreads * 4;

/// Inclusive sums of (rows, tiles) over the threads of the block, by doubling; two buffers, so one barrier a step.
MOESIM_DEVICE void scan_pair(int& rows, int& tiles) {
  const std::uint32_t own = shared_base() + static_cast<std::uint32_t>(thread_index()) * 8;
  std::uint32_t buffer = 0;
  for (int distance = 1; distance < kTileMapThreads; distance *= 2) {
    shared_store(own + buffer, rows);
    shared_store(own + buffer + 4, tiles);
    barrier();
    if (thread_index() >= distance) {
      rows += shared_load(own + buffer - static_cast<std::uint32_t>(distance) * 8);
      tiles += shared_load(own + buffer + 4 - static_cast<std::uint32_t>(distance) * 8);
    }
    buffer ^= kTileMapThreads * 8;
  }
}

/// counts [experts] -> map. One block of kTileMapThreads threads; `capacity` 0 is the contiguous layout. A masked
/// expert has at most `capacity` rows: the rest is dropped, as engines with a capacity do.
MOESIM_KERNEL build_tile_map(const int* counts, int experts, int tile_rows, int capacity, TileMap map) {
  const std::uint32_t totals = shared_base();
  int rows_before = 0, tiles_before = 0;
  for (int base = 0; base < experts; base += kTileMapThreads) {
    const int expert = base + thread_index();
    int rows = expert < experts ? global_load(counts + expert) : 0;
    if (capacity > 0 && rows > capacity) rows = capacity;
    const int tiles = (rows + tile_rows - 1) / tile_rows;
    int row_end = rows, tile_end = tiles;
    scan_pair(row_end, tile_end);
    const int first_tile = tiles_before + tile_end - tiles;
    if (expert < experts) {
      const int row_begin = capacity > 0 ? expert * capacity : rows_before + row_end - rows;
      global_store(map.experts + expert, ExpertRows{first_tile, tiles, row_begin, rows});
      for (int tile = 0; tile < tiles; ++tile) global_store(map.tile_expert + first_tile + tile, expert);
    }
    barrier();
    if (thread_index() == kTileMapThreads - 1) {
      shared_store(totals, row_end);
      shared_store(totals + 4, tile_end);
    }
    barrier();
    rows_before += shared_load(totals);
    tiles_before += shared_load(totals + 4);
    barrier();
  }
  if (thread_index() == 0) global_store(map.tiles, tiles_before);
}

}  // namespace moesim::cuda
