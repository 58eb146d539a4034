#pragma once
// The grouped GEMMs of Hopper as host functions. Nothing here waits.

#include <span>

#include "models/kernels/cuda/expert_kernels.hpp"

namespace moesim::cuda {

/// Over bf16 weights with wgmma, in both epilogues; for devices of compute capability 9 only.
std::span<const GemmVariant> wgmma_variants();

/// As fits_device of expert_kernels.hpp, and whether the device is a Hopper.
bool fits_hopper(const GemmVariant& variant, int n, const cudaDeviceProp& device);

/// gemm.a has `a_rows` rows, all of which may be read; gemm.a_row is null. `experts`: of gemm.b. Asks the driver for
/// the tensor maps; cudaErrorNotSupported where it has none.
cudaError_t launch_wgmma(const GemmVariant& variant, const GroupedGemm& gemm, int a_rows, int experts, int blocks,
                         cudaStream_t stream);

}  // namespace moesim::cuda
