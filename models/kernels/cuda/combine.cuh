#pragma once
// The sum over a token's experts after GEMM2, whose epilogue has applied the combine weights:
// out[token] = sum over j of y[row_of_slot[token, j]], in fp32, in the order of the choices.

#include "models/kernels/cuda/primitives.cuh"

namespace moesim::cuda {

constexpr int kCombineThreads = 128;

/// y [rows, width], row_of_slot [tokens, k] (-1: dropped) -> out [tokens, width]; width divides by 8. Any grid.
MOESIM_KERNEL combine(const Bf16* y, const int* row_of_slot, int tokens, int k, int width, Bf16* out) {
  const auto stride = static_cast<std::size_t>(width);
  for (int token = block_index(); token < tokens; token += block_count()) {
    for (int column = thread_index() * 8; column < width; column += block_threads() * 8) {
      float sum[8] = {};
      for (int choice = 0; choice < k; ++choice) {
        const int row = global_load(row_of_slot + token * k + choice);
        if (row < 0) continue;
        const Vector16 add =
            global_load(reinterpret_cast<const Vector16*>(y + static_cast<std::size_t>(row) * stride + column));
        MOESIM_UNROLL
        for (int i = 0; i < 4; ++i) {
          sum[2 * i] += low_bf16(add.words[i]);
          sum[2 * i + 1] += high_bf16(add.words[i]);
        }
      }
      Vector16 rounded;
      MOESIM_UNROLL
      for (int i = 0; i < 4; ++i) rounded.words[i] = pack_bf16(sum[2 * i], sum[2 * i + 1]);
      global_store(reinterpret_cast<Vector16*>(out + static_cast<std::size_t>(token) * stride + column), rounded);
    }
  }
}

}  // namespace moesim::cuda
