#pragma once
// The compiled grouped GEMMs, as the worker wants them.

#include "models/kernels/cuda/expert_kernels.hpp"
#include "models/kernels/cuda/operations.hpp"

namespace moesim::cuda {

/// One of gemm_variants(), decode_variants() or, with `hopper`, wgmma_variants().
class VariantGemmKernel final : public GemmKernel {
public:
  explicit VariantGemmKernel(const GemmVariant& variant, bool hopper = false) : variant_{variant}, hopper_{hopper} {}

  std::string name() const override { return variant_.name; }
  std::string format() const override;
  int gemm() const override { return is_gated(variant_.epilogue) ? 1 : 2; }
  bool fits(int n, int k, int most_rows, const cudaDeviceProp& device) const override;
  std::size_t weight_bytes(int n, int k) const override;
  WordPattern words() const override;
  double verify(const cudaDeviceProp& device, std::uint64_t seed) const override;
  std::unique_ptr<Work> make(const GemmProblem& problem) const override;

private:
  const GemmVariant& variant_;
  bool hopper_;
};

}  // namespace moesim::cuda
