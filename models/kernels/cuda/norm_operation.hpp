#pragma once
// RMSNorm with its residual add as the worker wants it.

#include "models/kernels/cuda/operations.hpp"

namespace moesim::cuda {

class NormOperation final : public Operation {
public:
  std::string name() const override { return "rms_norm_add"; }
  std::string kernel() const override { return "rms_norm"; }
  std::string format() const override { return "bf16"; }
  bool fits(const cudaDeviceProp&) const override { return true; }
  double verify(const cudaDeviceProp& device, std::uint64_t seed) const override;
  std::vector<OperationCase> cases() const override;
  std::unique_ptr<Work> make(const OperationCase& size, const MemoryRing& cold,
                             const cudaDeviceProp& device) const override;
};

}  // namespace moesim::cuda
