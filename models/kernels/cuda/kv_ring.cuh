#pragma once
// Keys and values of a split on their way into shared memory: a ring of stages of some tokens, filled by cp.async ahead
// of their use and across the ends of splits.

#include "models/kernels/cuda/decode_attention.hpp"
#include "models/kernels/cuda/fault.hpp"
#include "models/kernels/cuda/primitives.cuh"

namespace moesim::cuda {

/// warps_m x warps_d warps: 16 heads for each of warps_m, and for scores 8 * score_tiles tokens, for the result 1 /
/// warps_d of the value dimensions, for each of warps_d. Values of `latent` attention are the first dimensions of keys.
template <int key_dims, int value_dims, bool latent, int warps_m, int warps_d, int score_tiles, int stages,
          int blocks_per_sm>
struct AttentionShape {
  static constexpr int kKeyDims = key_dims, kValueDims = value_dims, kWarpsM = warps_m, kWarpsD = warps_d;
  static constexpr int kScoreTiles = score_tiles, kStages = stages, kBlocksPerSm = blocks_per_sm;
  static constexpr int kThreads = warps_m * warps_d * kWarp;
  static constexpr int kRows = warps_m * 16;                  ///< heads
  static constexpr int kTokens = warps_d * score_tiles * 8;   ///< of a stage
  static constexpr int kOutTiles = value_dims / warps_d / 8;  ///< of a warp
  static constexpr std::uint32_t kKeyRowBytes = key_dims * 2;
  static constexpr std::uint32_t kValueRowBytes = latent ? kKeyRowBytes : value_dims * 2;
  static constexpr std::uint32_t kKeyBytes = kTokens * kKeyRowBytes;
  static constexpr std::uint32_t kValueOffset = latent ? 0 : kKeyBytes;  ///< within a stage
  static constexpr std::uint32_t kStageBytes = kKeyBytes + (latent ? 0 : kTokens * kValueRowBytes);
  static constexpr std::uint32_t kProbabilityRowBytes = 128;
  // Shared memory: the ring, the queries, the probabilities of a stage, a number for each warp_d and row.
  static constexpr std::uint32_t kQueryOffset = stages * kStageBytes;
  static constexpr std::uint32_t kProbabilityOffset = kQueryOffset + kRows * kKeyRowBytes;
  static constexpr std::uint32_t kExchangeOffset = kProbabilityOffset + kRows * kProbabilityRowBytes;
  static constexpr int kSharedBytes = static_cast<int>(kExchangeOffset) + warps_d * kRows * 4;
  static constexpr bool kLatent = latent;
  static_assert(key_dims % 64 == 0 && value_dims % (16 * warps_d) == 0 && stages >= 2);
  static_assert(kPageTokens % kTokens == 0 && kTokens % 16 == 0 && kTokens * 2 <= kProbabilityRowBytes);
  static_assert(kTokens * key_dims / 8 % kThreads == 0 && kTokens * value_dims / 8 % kThreads == 0);
};

/// Byte offset of a 16-byte chunk within row `row`: eight rows of one chunk fall into eight different bank groups.
MOESIM_DEVICE std::uint32_t swizzled_chunk(std::uint32_t chunk, std::uint32_t row) {
  return (chunk ^ row % 8) * 16;
}

/// The tokens of one split that one block attends to, and with which heads.
struct SplitAt {
  int split;
  int sequence;
  int token, end;  ///< tokens of the sequence
  int head;        ///< first
};

/// Heads run fastest, so that blocks in flight share the keys of a split.
MOESIM_DEVICE SplitAt split_at(const DecodeAttention& attention, int item) {
  const int columns = attention.heads / attention.block_heads;
  const int split = item / columns;
  const int sequence = global_load(attention.splits.tile_expert + split);
  const ExpertRows tokens = global_load(attention.splits.experts + sequence);
  const int token = (split - tokens.first_tile) * attention.split_tokens;
  const int left = tokens.rows - token;
  return {split, sequence, token, token + (left < attention.split_tokens ? left : attention.split_tokens),
          item % columns * attention.block_heads};
}

template <class Shape, Fault kFault>
class KvRing {
public:
  /// Fills all but one stage.
  MOESIM_DEVICE explicit KvRing(const DecodeAttention& attention)
      : attention_{attention},
        items_{global_load(attention.splits.tiles) * (attention.heads / attention.block_heads)},
        item_{block_index()} {
    aim();
    for (int stage = 0; stage < Shape::kStages - 1; ++stage) fill();
  }

  /// Waits for the oldest stage and refills the one before it; returns the stage's address. Valid until the next call.
  MOESIM_DEVICE std::uint32_t next() {
    wait_copies<Shape::kStages - 2 + (kFault == Fault::wait_depth ? 1 : 0)>();
    barrier();  // all copies have arrived, and nobody reads the stage refilled now
    fill();
    const std::uint32_t stage = shared_base() + static_cast<std::uint32_t>(use_stage_) * Shape::kStageBytes;
    use_stage_ = use_stage_ + 1 == Shape::kStages ? 0 : use_stage_ + 1;
    return stage;
  }

private:
  MOESIM_DEVICE void aim() {
    if (item_ >= items_) return;
    at_ = split_at(attention_, item_);
    find_page();
  }
  /// Long before it is used: the next fill would have to wait for it.
  MOESIM_DEVICE void find_page() {
    page_ =
        global_load(attention_.pages +
                    static_cast<std::size_t>(at_.sequence) * static_cast<std::size_t>(attention_.pages_per_sequence) +
                    at_.token / kPageTokens);
  }

  template <int kDims>
  MOESIM_DEVICE void copy(const Bf16* pool, std::uint32_t target) {
    constexpr int kChunks = kDims / 8;
    const int kv_head = at_.head / (attention_.heads / attention_.kv_heads);
    const Bf16* source = pool + ((static_cast<std::size_t>(page_) * static_cast<std::size_t>(attention_.kv_heads) +
                                  static_cast<std::size_t>(kv_head)) *
                                     kPageTokens +
                                 static_cast<std::size_t>(at_.token % kPageTokens)) *
                                    kDims;
    MOESIM_UNROLL
    for (int i = 0; i < Shape::kTokens * kChunks / Shape::kThreads; ++i) {
      const int at = i * Shape::kThreads + thread_index(), row = at / kChunks, chunk = at % kChunks;
      copy_async16(target + static_cast<std::uint32_t>(row) * (kDims * 2) +
                       swizzled_chunk(static_cast<std::uint32_t>(chunk), static_cast<std::uint32_t>(row)),
                   source + at * 8, at_.token + row < at_.end || kFault == Fault::zero_fill);
    }
  }

  /// Issues the copies of one stage, or an empty group when there is no work left.
  MOESIM_DEVICE void fill() {
    if (item_ < items_) {
      const std::uint32_t stage = shared_base() + static_cast<std::uint32_t>(fill_stage_) * Shape::kStageBytes;
      copy<Shape::kKeyDims>(attention_.keys, stage);
      if constexpr (!Shape::kLatent) copy<Shape::kValueDims>(attention_.values, stage + Shape::kValueOffset);
      at_.token += Shape::kTokens;
      if (at_.token < at_.end) {
        find_page();
      } else {
        item_ += block_count();
        aim();
      }
    }
    commit_copies();
    fill_stage_ = fill_stage_ + 1 == Shape::kStages ? 0 : fill_stage_ + 1;
  }

  const DecodeAttention& attention_;
  const int items_;
  int item_;
  SplitAt at_{};
  int page_ = 0;
  int fill_stage_ = 0, use_stage_ = 0;
};

}  // namespace moesim::cuda
