#pragma once
// Every compiled grouped GEMM on this device against fp64, before any of its times is believed.

#include <cstdint>

#include "models/kernels/cuda/expert_kernels.hpp"

namespace moesim::cuda {

/// Worst relative error (reference::Errors) over empty, one-row, full and ragged experts in both layouts; infinite when
/// rows that belong to no expert were written. Throws std::runtime_error when the device refuses.
double verify(const GemmVariant& variant, const cudaDeviceProp& device, std::uint64_t seed);

/// The same of a variant of wgmma_variants().
double verify_wgmma(const GemmVariant& variant, const cudaDeviceProp& device, std::uint64_t seed);

}  // namespace moesim::cuda
