#include "models/kernels/cuda/operations.hpp"

#include "models/kernels/cuda/mma_gemm_kernel.hpp"

namespace moesim::cuda {

const std::vector<std::unique_ptr<GemmKernel>>& gemm_kernels() {
  static const auto all = [] {
    std::vector<std::unique_ptr<GemmKernel>> kernels;
    for (const GemmVariant& variant : gemm_variants()) kernels.push_back(std::make_unique<MmaGemmKernel>(variant));
    return kernels;
  }();
  return all;
}

const std::vector<std::unique_ptr<Operation>>& operations() {
  static const std::vector<std::unique_ptr<Operation>> all;
  return all;
}

}  // namespace moesim::cuda
