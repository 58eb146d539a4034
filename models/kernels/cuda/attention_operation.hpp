#pragma once
// Decode attention as the worker wants it.

#include <vector>

#include "models/kernels/cuda/attention_kernels.hpp"
#include "models/kernels/cuda/operations.hpp"

namespace moesim::cuda {

/// One compiled decode attention and the heads it is timed with.
class AttentionOperation final : public Operation {
public:
  struct Heads {
    int heads, kv_heads;  ///< on one GPU
  };
  /// With `unless` this one is for devices that `unless` does not fit.
  AttentionOperation(const AttentionVariant& variant, std::vector<Heads> heads,
                     const AttentionVariant* unless = nullptr)
      : variant_{variant}, heads_{std::move(heads)}, unless_{unless} {}

  std::string name() const override { return variant_.latent ? "mla_decode" : "gqa_decode"; }
  std::string kernel() const override { return variant_.name; }
  std::string format() const override { return "bf16"; }
  bool fits(const cudaDeviceProp& device) const override;
  double verify(const cudaDeviceProp& device, std::uint64_t seed) const override;
  std::vector<OperationCase> cases() const override;
  std::unique_ptr<Work> make(const OperationCase& size, const MemoryRing& cold,
                             const cudaDeviceProp& device) const override;

private:
  const AttentionVariant& variant_;
  std::vector<Heads> heads_;
  const AttentionVariant* unless_;
};

}  // namespace moesim::cuda
