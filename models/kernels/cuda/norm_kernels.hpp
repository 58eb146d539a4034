#pragma once
// RMSNorm as a host function, for programs that verify and time it.

#include <cuda_runtime.h>

#include "models/kernels/cuda/rms_norm.hpp"

namespace moesim::cuda {

/// width divides by 8 and is at most 16384; cudaErrorInvalidValue beyond.
cudaError_t launch_rms_norm(RmsNorm norm, cudaStream_t stream);

/// Worst relative error (reference::Errors) against fp64, of the norm and of the sum, over several widths. Throws
/// std::runtime_error when the device refuses.
double verify_rms_norm(std::uint64_t seed);

}  // namespace moesim::cuda
