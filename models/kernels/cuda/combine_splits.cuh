#pragma once
// Joins the splits of decode_attention: out = sum of partial * 2^weight over sum of 2^weight, for every head.

#include "models/kernels/cuda/decode_attention.hpp"
#include "models/kernels/cuda/primitives.cuh"

namespace moesim::cuda {

constexpr int kCombineSplitsThreads = 128;

/// partial [splits, heads, dims], weight [splits, heads], splits: the map they were made with -> out [sequences, heads,
/// dims]; zeros for a sequence without context. dims divides by 64. Any grid; a warp per head.
MOESIM_KERNEL combine_splits(const float* partial, const float* weight, TileMap splits, int sequences, int heads,
                             int dims, Bf16* out) {
  const int warps = block_count() * block_threads() / kWarp;
  for (int item = block_index() * (block_threads() / kWarp) + warp_index(); item < sequences * heads; item += warps) {
    const ExpertRows tokens = global_load(splits.experts + item / heads);
    const auto stride = static_cast<std::size_t>(heads);
    const auto first = static_cast<std::size_t>(tokens.first_tile) * stride + static_cast<std::size_t>(item % heads);
    float largest = -1e30f, total = 0;
    for (int split = 0; split < tokens.tiles; ++split) {
      const float one = global_load(weight + first + static_cast<std::size_t>(split) * stride);
      largest = one > largest ? one : largest;
    }
    for (int split = 0; split < tokens.tiles; ++split)
      total += fast_exp2(global_load(weight + first + static_cast<std::size_t>(split) * stride) - largest);
    for (int column = lane_index() * 2; column < dims; column += 2 * kWarp) {
      float low = 0, high = 0;
      for (int split = 0; split < tokens.tiles; ++split) {
        const std::size_t head = first + static_cast<std::size_t>(split) * stride;
        const float share = fast_exp2(global_load(weight + head) - largest);
        const FloatPair part =
            global_load(reinterpret_cast<const FloatPair*>(partial + head * static_cast<std::size_t>(dims) + column));
        low += share * part.low;
        high += share * part.high;
      }
      const float inverse = tokens.tiles > 0 ? fast_divide(1.0f, total) : 0.0f;
      Bf16* target = out + static_cast<std::size_t>(item) * static_cast<std::size_t>(dims) + column;
      global_store(reinterpret_cast<std::uint32_t*>(target), pack_bf16(low * inverse, high * inverse));
    }
  }
}

}  // namespace moesim::cuda
