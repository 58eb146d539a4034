#pragma once
// What the kernels of this folder need of a GPU. Two implementations of one interface: PTX under nvcc, and a host
// emulation of the execution model for every other compiler, so that the tests run the very source the device runs.
//
// Shared memory is addressed by 32-bit shared-window addresses that start at shared_base(); global memory goes through
// global_load, global_store and copy_async16. The emulation checks every one of these accesses.

#ifdef __CUDACC__
#include "models/kernels/cuda/primitives_device.cuh"
#else
#include "models/kernels/cuda/emulation/primitives.hpp"
#endif

namespace moesim::cuda {

constexpr int kWarp = 32;

MOESIM_DEVICE int lane_index() {
  return thread_index() % kWarp;
}
MOESIM_DEVICE int warp_index() {
  return thread_index() / kWarp;
}

/// The two bfloat16 of one 32-bit register, the lower half first.
MOESIM_DEVICE float low_bf16(std::uint32_t pair) {
  return float_from_bits(pair << 16);
}
MOESIM_DEVICE float high_bf16(std::uint32_t pair) {
  return float_from_bits(pair & 0xFFFF0000u);
}

}  // namespace moesim::cuda
