#pragma once

#include <cstdint>

#include "models/kernels/cuda/bf16.hpp"

namespace moesim::cuda {

/// Root-mean-square norm (Zhang and Sennrich, arXiv:1910.07467) of every token. Pointers are to global memory.
struct RmsNorm {
  const Bf16* x;       ///< [tokens, width]
  Bf16* residual;      ///< [tokens, width], becomes x + residual, which is what is normalised; null: x is
  const Bf16* weight;  ///< [width]
  Bf16* out;           ///< [tokens, width]
  int tokens;
  int width;
  float epsilon;
};

}  // namespace moesim::cuda
