#pragma once
// What Hopper adds to primitives.cuh, in the same two implementations: mbarriers, copies of tiles by the copy engine
// (TMA), matrix products of a warpgroup that read shared memory on their own (wgmma). sm_90a only.
//
// An mbarrier is 8 bytes of shared memory. Its phases complete one after the other, each when all arrivals and all
// expected bytes have come; wait_phase(parity) returns once the phase of that parity has, so that waiting for parity 1
// of a fresh one returns at once.

#include "models/kernels/cuda/primitives.cuh"

#ifdef __CUDACC__
#include "models/kernels/cuda/primitives_hopper_device.cuh"
#else
#include "models/kernels/cuda/emulation/hopper_primitives.hpp"
#endif

namespace moesim::cuda {

/// Describes a tile of 8 n rows of 128 bytes (64 bf16 along k) to the matrix units, 128-byte swizzle, 1024 bytes from
/// one group of eight rows to the next; `address` may be 32 bytes further for each step of 16 along k.
MOESIM_DEVICE std::uint64_t tile_descriptor(std::uint32_t address) {
  constexpr std::uint64_t kSwizzle128 = std::uint64_t{1} << 62, kStride = std::uint64_t{1024 >> 4} << 32;
  constexpr std::uint64_t kUnused = std::uint64_t{1}
                                    << 16;  // the leading offset, which a swizzled k-major tile has not
  return kSwizzle128 | kStride | kUnused | (address & 0x3FFFFu) >> 4;
}

}  // namespace moesim::cuda
