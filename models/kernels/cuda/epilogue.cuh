#pragma once
// What happens to the sums of a GEMM of the expert FFN before they are written.

#include "models/kernels/cuda/operands.hpp"
#include "models/kernels/cuda/primitives.cuh"

namespace moesim::cuda {

// As constants, which device code may use; the functions it may not.
template <Epilogue kEpilogue>
constexpr bool kGated = is_gated(kEpilogue);
template <Epilogue kEpilogue>
constexpr bool kRowScaled = is_row_scaled(kEpilogue);
template <Epilogue kEpilogue>
constexpr bool kBiased = is_biased(kEpilogue);

MOESIM_DEVICE float swiglu(float gate, float up) {
  return fast_divide(gate, 1.0f + fast_exp(-gate)) * up;
}

MOESIM_DEVICE float clamped_swiglu(float gate, float up) {
  gate = gate < kClampedLimit ? gate : kClampedLimit;
  up = up < kClampedLimit ? up : kClampedLimit;
  up = up > -kClampedLimit ? up : -kClampedLimit;
  return fast_divide(gate, 1.0f + fast_exp(-kClampedAlpha * gate)) * (up + 1.0f);
}

template <Epilogue kEpilogue>
MOESIM_DEVICE float gated(float gate, float up) {
  return kEpilogue == Epilogue::clamped_swiglu ? clamped_swiglu(gate, up) : swiglu(gate, up);
}

template <Epilogue kEpilogue>
MOESIM_DEVICE float row_scale_of(const GroupedGemm& gemm, int row) {
  if constexpr (kRowScaled<kEpilogue>) return global_load(gemm.row_scale + row);
  return 1.0f;
}

/// What is added to column `column` of the products of an expert, a row of b.
template <Epilogue kEpilogue>
MOESIM_DEVICE float bias_of(const GroupedGemm& gemm, int expert, int column) {
  if constexpr (kBiased<kEpilogue>)
    return float_from_bits(static_cast<std::uint32_t>(global_load(gemm.bias + expert * gemm.n + column).bits) << 16);
  return 0.0f;
}

/// The two columns of c that a thread of a matrix fragment writes for one row: from sums of columns `column` and the
/// next of b, `up` those eight further for gated epilogues.
template <Epilogue kEpilogue>
MOESIM_DEVICE std::uint32_t finished_pair(const GroupedGemm& gemm, int expert, int column, const float (&sum)[2],
                                          const float (&up)[2], float scale) {
  float pair[2];
  MOESIM_UNROLL
  for (int odd = 0; odd < 2; ++odd) {
    const float own = sum[odd] + bias_of<kEpilogue>(gemm, expert, column + odd);
    if constexpr (kGated<kEpilogue>)
      pair[odd] = gated<kEpilogue>(own, up[odd] + bias_of<kEpilogue>(gemm, expert, column + 8 + odd));
    else
      pair[odd] = own * scale;
  }
  return pack_bf16(pair[0], pair[1]);
}

MOESIM_DEVICE Bf16 round_to_bf16(float value) {
  return {static_cast<std::uint16_t>(pack_bf16(value, 0.0f) & 0xFFFFu)};
}

}  // namespace moesim::cuda
