#pragma once
// Attention of one new token per sequence over its cached keys and values, as the kernels see it. Pointers are to
// global memory.

#include "models/kernels/cuda/operands.hpp"

namespace moesim::cuda {

constexpr int kPageTokens = 64;

/// Grouped-query attention: `keys` [pages, kv_heads, 64, d], `values` the same. Multi-head latent attention, absorbed
/// (DeepSeek-V2, arXiv:2405.04434, section 2.1): kv_heads is 1, `keys` [pages, 1, 64, 576] are the latents with their
/// rotary part, and their first 512 are the values; `values` is not read.
struct DecodeAttention {
  const Bf16* q;  ///< [sequences, heads, d]
  const Bf16* keys;
  const Bf16* values;
  const int* pages;  ///< [sequences, pages_per_sequence] pages of a sequence in order
  int pages_per_sequence;
  int heads;
  int kv_heads;
  int block_heads;  ///< of one block, with one kv head: divides heads / kv_heads, at most the rows of the kernel
  float scale;      ///< of the products before the softmax: d^-0.5
  /// Built from the context lengths, as if tokens were rows and sequences experts: a tile is a split.
  TileMap splits;
  int split_tokens;  ///< rows of a tile, a multiple of kPageTokens
  float* partial;    ///< [splits, heads, value dimensions] softmax within the split times values
  float* weight;     ///< [splits, heads] log2 of the sum of the split's exponentials
};

/// Two neighbours of a partial result: what one thread writes at once.
struct alignas(8) FloatPair {
  float low, high;
};

}  // namespace moesim::cuda
