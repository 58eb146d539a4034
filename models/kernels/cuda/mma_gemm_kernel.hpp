#pragma once
// The compiled bf16 GEMMs of gemm_variants(), as the worker wants them.

#include "models/kernels/cuda/expert_kernels.hpp"
#include "models/kernels/cuda/operations.hpp"

namespace moesim::cuda {

class MmaGemmKernel final : public GemmKernel {
public:
  explicit MmaGemmKernel(const GemmVariant& variant) : variant_{variant} {}

  std::string name() const override { return variant_.name; }
  std::string format() const override { return "bf16"; }
  int gemm() const override { return variant_.epilogue == Epilogue::swiglu ? 1 : 2; }
  bool fits(int n, int k, int most_rows, const cudaDeviceProp& device) const override;
  std::size_t weight_bytes(int n, int k) const override;
  double verify(const cudaDeviceProp& device, std::uint64_t seed) const override;
  std::unique_ptr<Work> make(const GemmProblem& problem) const override;

private:
  const GemmVariant& variant_;
};

}  // namespace moesim::cuda
