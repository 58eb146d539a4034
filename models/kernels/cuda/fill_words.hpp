#pragma once
// Random words on the device.

#include <cstdint>

#include <cuda_runtime.h>

#include "models/kernels/cuda/operations.hpp"

namespace moesim::cuda {

/// Fills `bytes` bytes (a multiple of 4) at `memory` with words of the pattern; the same ones for the same seed.
cudaError_t fill_words(void* memory, std::size_t bytes, WordPattern pattern, std::uint32_t seed, cudaStream_t stream);

}  // namespace moesim::cuda
