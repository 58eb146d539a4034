#pragma once
// What happens to the sums of a GEMM of the expert FFN before they are written.

#include "models/kernels/cuda/operands.hpp"
#include "models/kernels/cuda/primitives.cuh"

namespace moesim::cuda {

MOESIM_DEVICE float swiglu(float gate, float up) {
  return fast_divide(gate, 1.0f + fast_exp(-gate)) * up;
}

MOESIM_DEVICE Bf16 round_to_bf16(float value) {
  return {static_cast<std::uint16_t>(pack_bf16(value, 0.0f) & 0xFFFFu)};
}

}  // namespace moesim::cuda
