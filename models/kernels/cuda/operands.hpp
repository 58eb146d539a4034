#pragma once
// What the kernels work on, as the host and the device both see it. Pointers are to global memory.

#include "models/kernels/cuda/bf16.hpp"

namespace moesim::cuda {

/// The rows of one expert.
struct alignas(16) ExpertRows {
  int first_tile;
  int tiles;
  int row_begin;
  int rows;
};

/// experts [experts], tile_expert [most_tiles]: the expert of each tile, tiles [1]: how many tiles there are.
struct TileMap {
  ExpertRows* experts;
  int* tile_expert;
  int* tiles;
};

/// Most tiles that `rows` rows over `experts` experts can need: the size of tile_expert.
constexpr int most_tiles(int rows, int experts, int tile_rows) {
  return rows / tile_rows + experts;
}

/// How weights are stored; activations stay bfloat16.
enum class WeightFormat {
  bf16,
  int4_group128,  ///< (code - 8) * scale, a bf16 scale for 128 weights along k (GPTQ, AWQ)
  int4_group32,   ///< the same for 32 weights
  fp8_block128,   ///< e4m3 * scale, an fp32 scale for 128 x 128 weights (DeepSeek-V3)
  mxfp4,          ///< e2m1 * 2^scale, a scale for 32 weights along k (OCP microscaling; gpt-oss)
};

/// What happens to a sum before it is written.
enum class Epilogue {
  plain,
  swiglu,             ///< silu(gate) * up
  row_scaled,         ///< times row_scale[row]: the combine weight
  clamped_swiglu,     ///< of gpt-oss, after adding the bias
  biased_row_scaled,  ///< bias added, then row_scaled
};

/// Whether 8 gate columns and their 8 up columns become 8 columns of c.
constexpr bool is_gated(Epilogue epilogue) {
  return epilogue == Epilogue::swiglu || epilogue == Epilogue::clamped_swiglu;
}
constexpr bool is_row_scaled(Epilogue epilogue) {
  return epilogue == Epilogue::row_scaled || epilogue == Epilogue::biased_row_scaled;
}
constexpr bool is_biased(Epilogue epilogue) {
  return epilogue == Epilogue::clamped_swiglu || epilogue == Epilogue::biased_row_scaled;
}

// gate = min(gate, limit), up within +- limit, then gate * sigmoid(alpha * gate) * (up + 1). Source: openai/gpt-oss,
// gpt_oss/torch/model.py, swiglu().
constexpr float kClampedAlpha = 1.702f, kClampedLimit = 7.0f;

struct GroupedGemm {
  const Bf16* a;
  const int* a_row;  ///< [rows] row of a for each row of c; null: the same row
  const void* b;     ///< bf16 [experts, n, k], or what quantized_weights.hpp describes
  Bf16* c;
  const float* row_scale;  ///< [rows], for epilogues that scale rows
  TileMap map;
  int n;
  int k;
  const Bf16* bias = nullptr;  ///< [experts, n] in the order of b, for epilogues that add it
};

enum class Scoring {
  softmax,  ///< weights = softmax over the chosen logits (Mixtral, Qwen3, gpt-oss)
  sigmoid,  ///< chosen by sigmoid(logit) + bias, weights = sigmoid / their sum (DeepSeek-V3)
};

struct Router {
  const float* logits;  ///< [tokens, experts]
  const float* bias;    ///< [experts], for Scoring::sigmoid
  int tokens;
  int experts;
  int k;            ///< at most 32
  int groups_kept;  ///< of the groups of 32 experts, how many may be chosen from (DeepSeek-V3: 4 of 8); 0: all
  int* chosen;      ///< [tokens, k] best first; of equal scores the lower expert
  float* weights;   ///< [tokens, k]
};

/// Gives every slot, one (token, choice), a row of its expert.
struct RowAssignment {
  const int* chosen;     ///< [slots]
  const float* weights;  ///< [slots]
  int slots;
  int k;                      ///< slots per token
  const ExpertRows* experts;  ///< [experts]
  int* cursors;               ///< [experts], zero before
  int* row_of_slot;           ///< [slots], -1 for a slot dropped at the capacity
  int* token_of_row;          ///< [rows]
  float* weight_of_row;       ///< [rows]
};

}  // namespace moesim::cuda
