#pragma once
// Decode attention with split KV: one new token per sequence, all its heads that share a kv head packed as rows of the
// matrix units (mma.sync, sm_80 and newer), the context cut into splits so that ragged batches fill the device. Softmax
// is taken online, in fp32 and base 2; probabilities are rounded to bf16 before they meet the values.
//
// Each stage of tokens takes three steps with a barrier before each: scores (each warp its tokens), probabilities under
// the maximum of all warps, result (each warp its dimensions). combine_splits.cuh joins the splits.

#include "models/kernels/cuda/kv_ring.cuh"

namespace moesim::cuda {

constexpr float kMinusInfinity = -1e30f;  ///< below every score; a real infinity would make infinity - infinity

MOESIM_DEVICE float larger(float a, float b) {
  return a > b ? a : b;
}

/// What one thread carries from stage to stage: rows lane / 4 and lane / 4 + 8 of its warp's 16 heads.
template <class Shape>
struct Attended {
  float out[Shape::kOutTiles][4];
  float maximum[2] = {kMinusInfinity, kMinusInfinity};
  float sum[2] = {0, 0};  ///< of this thread's tokens
};

/// Where the warp's part is.
template <class Shape>
MOESIM_DEVICE std::uint32_t warp_m() {
  return static_cast<std::uint32_t>(warp_index() / Shape::kWarpsD);
}
template <class Shape>
MOESIM_DEVICE std::uint32_t warp_d() {
  return static_cast<std::uint32_t>(warp_index() % Shape::kWarpsD);
}
/// The number of `warp` for row lane / 4 + 8 * half of this warp's heads.
template <class Shape>
MOESIM_DEVICE std::uint32_t exchange_slot(std::uint32_t warp, int half) {
  const std::uint32_t row = warp_m<Shape>() * 16 + static_cast<std::uint32_t>(half * 8 + lane_index() / 4);
  return shared_base() + Shape::kExchangeOffset + (warp * Shape::kRows + row) * 4;
}

/// Queries of the block's heads into shared memory; rows without a head are zeros.
template <class Shape>
MOESIM_DEVICE void load_queries(const DecodeAttention& attention, const SplitAt& at) {
  constexpr int kChunks = Shape::kKeyDims / 8;
  const Bf16* source =
      attention.q + (static_cast<std::size_t>(at.sequence) * static_cast<std::size_t>(attention.heads) +
                     static_cast<std::size_t>(at.head)) *
                        Shape::kKeyDims;
  for (int i = thread_index(); i < Shape::kRows * kChunks; i += Shape::kThreads) {
    const int row = i / kChunks;
    Vector16 value{};
    if (row < attention.block_heads) value = global_load(reinterpret_cast<const Vector16*>(source + i * 8));
    shared_store_vector(shared_base() + Shape::kQueryOffset + static_cast<std::uint32_t>(row) * Shape::kKeyRowBytes +
                            swizzled_chunk(static_cast<std::uint32_t>(i % kChunks), static_cast<std::uint32_t>(row)),
                        value);
  }
}

/// s [tile]: products of the warp's 16 queries with 8 of its tokens.
template <class Shape>
MOESIM_DEVICE void score(float (&s)[Shape::kScoreTiles][4], std::uint32_t keys) {
  const auto lane = static_cast<std::uint32_t>(lane_index());
  const std::uint32_t q_row =
      shared_base() + Shape::kQueryOffset + (warp_m<Shape>() * 16 + lane % 16) * Shape::kKeyRowBytes;
  const std::uint32_t k_row = keys + (warp_d<Shape>() * Shape::kScoreTiles * 8 + lane % 8) * Shape::kKeyRowBytes;
  MOESIM_UNROLL_BY_2  // all 18 of latent attention would not leave registers enough
      for (std::uint32_t chunk = 0; chunk < Shape::kKeyDims / 8; chunk += 4) {  // 32 dimensions
    std::uint32_t first[4], second[4];
    load_matrices(first, q_row + swizzled_chunk(chunk + lane / 16, lane));
    load_matrices(second, q_row + swizzled_chunk(chunk + 2 + lane / 16, lane));
    MOESIM_UNROLL
    for (std::uint32_t tile = 0; tile < Shape::kScoreTiles; ++tile) {
      std::uint32_t b[4];
      load_matrices(b, k_row + tile * 8 * Shape::kKeyRowBytes + swizzled_chunk(chunk + lane / 8, lane));
      multiply_add(s[tile], first, b[0], b[1]);
      multiply_add(s[tile], second, b[2], b[3]);
    }
  }
}

/// Scales the scores, takes tokens from `tokens_left` of the stage on out, and returns each row's largest in all lanes
/// of the row.
template <class Shape, Fault kFault>
MOESIM_DEVICE void mask_and_maximum(float (&s)[Shape::kScoreTiles][4], float scale, int tokens_left,
                                    float (&largest)[2]) {
  const int token = static_cast<int>(warp_d<Shape>()) * Shape::kScoreTiles * 8 + lane_index() % 4 * 2;
  MOESIM_UNROLL
  for (int tile = 0; tile < Shape::kScoreTiles; ++tile) {
    MOESIM_UNROLL
    for (int element = 0; element < 4; ++element) {
      const bool counts = token + tile * 8 + element % 2 < tokens_left || kFault == Fault::mask;
      s[tile][element] = counts ? s[tile][element] * scale : kMinusInfinity;
      largest[element / 2] = larger(largest[element / 2], s[tile][element]);
    }
  }
  MOESIM_UNROLL
  for (int half = 0; half < 2; ++half)
    for (int mask = 1; mask < 4; mask *= 2) largest[half] = larger(largest[half], shuffle_xor(largest[half], mask));
}

/// Brings `attended` under the maximum of all warps, which they have put into their exchange slots, and stores the
/// warp's probabilities.
template <class Shape, Fault kFault>
MOESIM_DEVICE void store_probabilities(Attended<Shape>& attended, const float (&s)[Shape::kScoreTiles][4]) {
  MOESIM_UNROLL
  for (int half = 0; half < 2; ++half) {
    float largest = attended.maximum[half];
    MOESIM_UNROLL
    for (std::uint32_t warp = 0; warp < Shape::kWarpsD; ++warp)
      largest =
          larger(largest, float_from_bits(static_cast<std::uint32_t>(shared_load(exchange_slot<Shape>(warp, half)))));
    const float shrink = kFault == Fault::rescale ? 1.0f : fast_exp2(attended.maximum[half] - largest);
    attended.maximum[half] = largest;
    attended.sum[half] *= shrink;
    MOESIM_UNROLL
    for (int tile = 0; tile < Shape::kOutTiles; ++tile) {
      attended.out[tile][2 * half] *= shrink;
      attended.out[tile][2 * half + 1] *= shrink;
    }
    const std::uint32_t row = warp_m<Shape>() * 16 + static_cast<std::uint32_t>(half * 8 + lane_index() / 4);
    MOESIM_UNROLL
    for (std::uint32_t tile = 0; tile < Shape::kScoreTiles; ++tile) {
      const float low = fast_exp2(s[tile][2 * half] - largest), high = fast_exp2(s[tile][2 * half + 1] - largest);
      attended.sum[half] += low + high;
      shared_store(shared_base() + Shape::kProbabilityOffset + row * Shape::kProbabilityRowBytes +
                       swizzled_chunk(warp_d<Shape>() * Shape::kScoreTiles + tile, row) +
                       static_cast<std::uint32_t>(lane_index() % 4 * 4),
                   static_cast<int>(pack_bf16(low, high)));
    }
  }
}

/// out += probabilities of all tokens of the stage times the warp's dimensions of their values.
template <class Shape, Fault kFault>
MOESIM_DEVICE void add_values(Attended<Shape>& attended, std::uint32_t values) {
  const auto lane = static_cast<std::uint32_t>(lane_index());
  const std::uint32_t p_row =
      shared_base() + Shape::kProbabilityOffset + (warp_m<Shape>() * 16 + lane % 16) * Shape::kProbabilityRowBytes;
  // Matrices 0..3 of the transposed load: tokens 0-7, 8-15, then both 8 dimensions further.
  const std::uint32_t v_row = kFault == Fault::fragment_row ? lane % 8 + lane / 16 * 8 : lane % 16;
  const std::uint32_t v_chunk = kFault == Fault::fragment_row ? lane / 8 % 2 : lane / 16;
  const std::uint32_t first_chunk = warp_d<Shape>() * Shape::kOutTiles + v_chunk;
  MOESIM_UNROLL
  for (std::uint32_t token = 0; token < Shape::kTokens; token += 16) {
    std::uint32_t p[4];
    load_matrices(p, p_row + swizzled_chunk(token / 8 + lane / 16, lane));
    MOESIM_UNROLL
    for (std::uint32_t tile = 0; tile < Shape::kOutTiles; tile += 2) {
      std::uint32_t v[4];
      load_matrices_transposed(
          v, values + (token + v_row) * Shape::kValueRowBytes + swizzled_chunk(first_chunk + tile, v_row));
      multiply_add(attended.out[tile], p, v[0], v[1]);
      multiply_add(attended.out[tile + 1], p, v[2], v[3]);
    }
  }
}

/// One stage of tokens, `tokens_left` of the split from there on.
template <class Shape, Fault kFault>
MOESIM_DEVICE void attend_stage(Attended<Shape>& attended, std::uint32_t stage, float scale, int tokens_left) {
  float s[Shape::kScoreTiles][4] = {}, largest[2] = {kMinusInfinity, kMinusInfinity};
  score<Shape>(s, stage);
  mask_and_maximum<Shape, kFault>(s, scale, tokens_left, largest);
  if (lane_index() % 4 == 0) {
    MOESIM_UNROLL
    for (int half = 0; half < 2; ++half)
      shared_store(exchange_slot<Shape>(warp_d<Shape>(), half), static_cast<int>(bits_of_float(largest[half])));
  }
  if (kFault != Fault::barrier) barrier();
  store_probabilities<Shape, kFault>(attended, s);
  barrier();
  add_values<Shape, kFault>(attended, stage + Shape::kValueOffset);
}

/// Sums of all warps, then the results of the block's heads for this split.
template <class Shape, Fault kFault>
MOESIM_DEVICE void write_split(Attended<Shape>& attended, const DecodeAttention& attention, const SplitAt& at) {
  MOESIM_UNROLL
  for (int half = 0; half < 2; ++half) {
    for (int mask = 1; mask < 4; mask *= 2) attended.sum[half] += shuffle_xor(attended.sum[half], mask);
    if (lane_index() % 4 == 0)
      shared_store(exchange_slot<Shape>(warp_d<Shape>(), half), static_cast<int>(bits_of_float(attended.sum[half])));
  }
  barrier();
  MOESIM_UNROLL
  for (int half = 0; half < 2; ++half) {
    float sum = 0;
    MOESIM_UNROLL
    for (std::uint32_t warp = 0; warp < Shape::kWarpsD; ++warp)
      sum += float_from_bits(static_cast<std::uint32_t>(shared_load(exchange_slot<Shape>(warp, half))));
    const int row = static_cast<int>(warp_m<Shape>()) * 16 + half * 8 + lane_index() / 4;
    if (row >= attention.block_heads && kFault != Fault::row_guard) continue;
    const std::size_t head = static_cast<std::size_t>(at.split) * static_cast<std::size_t>(attention.heads) +
                             static_cast<std::size_t>(at.head + row);
    if (warp_d<Shape>() == 0 && lane_index() % 4 == 0)
      global_store(attention.weight + head, attended.maximum[half] + fast_log2(sum));
    const float inverse = fast_divide(1.0f, sum);
    float* out =
        attention.partial + head * Shape::kValueDims + warp_d<Shape>() * Shape::kOutTiles * 8 + lane_index() % 4 * 2;
    MOESIM_UNROLL
    for (int tile = 0; tile < Shape::kOutTiles; ++tile)
      global_store(reinterpret_cast<FloatPair*>(out + tile * 8),
                   FloatPair{attended.out[tile][2 * half] * inverse, attended.out[tile][2 * half + 1] * inverse});
  }
}

/// Any number of blocks of Shape::kThreads threads with Shape::kSharedBytes.
template <class Shape, Fault kFault = Fault::none>
MOESIM_KERNEL MOESIM_LAUNCH_BOUNDS(Shape::kThreads, Shape::kBlocksPerSm) decode_attention(DecodeAttention attention) {
  constexpr float kLog2E = 1.44269504f;
  KvRing<Shape, kFault> ring{attention};
  const int items = global_load(attention.splits.tiles) * (attention.heads / attention.block_heads);
  for (int item = block_index(); item < items; item += block_count()) {
    const SplitAt at = split_at(attention, item);
    load_queries<Shape>(attention, at);  // all have used the last ones: two barriers ago
    Attended<Shape> attended{};
    for (int token = at.token; token < at.end; token += Shape::kTokens)
      attend_stage<Shape, kFault>(attended, ring.next(), attention.scale * kLog2E, at.end - token);
    write_split<Shape, kFault>(attended, attention, at);
  }
}

// Mixtral, Qwen3 (128) and gpt-oss (64): up to 16 heads that share a kv head; shallow for 99 KiB of shared memory.
using Gqa128 = AttentionShape<128, 128, false, 1, 4, 2, 3, 2>;         // 102 KiB
using Gqa128Shallow = AttentionShape<128, 128, false, 1, 4, 2, 2, 3>;  //  70 KiB
using Gqa64 = AttentionShape<64, 64, false, 1, 4, 2, 4, 2>;            //  68 KiB
// DeepSeek-V3: 64 heads read the latents together; 16 where few heads are left of tensor parallelism.
using Mla64 = AttentionShape<576, 512, true, 4, 2, 2, 3, 1>;         // 189 KiB
using Mla64Shallow = AttentionShape<576, 512, true, 4, 2, 2, 2, 1>;  // 153 KiB
using Mla16 = AttentionShape<576, 512, true, 1, 4, 1, 3, 1>;         // 129 KiB

}  // namespace moesim::cuda
