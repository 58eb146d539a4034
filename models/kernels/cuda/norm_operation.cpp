#include "models/kernels/cuda/norm_operation.hpp"

#include "models/kernels/cuda/device_memory.cuh"
#include "models/kernels/cuda/norm_kernels.hpp"

namespace moesim::cuda {
namespace {

class NormWork final : public Work {
public:
  NormWork(int tokens, int width, const MemoryRing& cold)
      : cold_{cold},
        tokens_{tokens},
        width_{width},
        weight_{std::vector<Bf16>(static_cast<std::size_t>(width), bf16_from(1.0f))},
        out_{elements()} {}

  void launch(int call, cudaStream_t stream) override {
    constexpr float kEpsilon = 1e-6f;
    const auto* x = reinterpret_cast<const Bf16*>(cold_.at(call));
    auto* residual = const_cast<Bf16*>(x) + elements();  // the ring is ours to write to: sums of small numbers stay so
    check(launch_rms_norm({x, residual, weight_.data(), out_.data(), tokens_, width_, kEpsilon}, stream), "rms_norm");
  }

private:
  std::size_t elements() const { return static_cast<std::size_t>(tokens_) * static_cast<std::size_t>(width_); }

  MemoryRing cold_;
  int tokens_, width_;
  DeviceArray<Bf16> weight_, out_;
};

}  // namespace

double NormOperation::verify(const cudaDeviceProp& /*device*/, std::uint64_t seed) const {
  return verify_rms_norm(seed);
}

std::vector<OperationCase> NormOperation::cases() const {
  std::vector<OperationCase> all;
  for (const int tokens : {64, 4096, 1, 512})
    for (const int width : {7168, 4096, 2880}) {
      const std::uint64_t elements = static_cast<std::uint64_t>(tokens) * static_cast<std::uint64_t>(width);
      constexpr std::uint64_t kPasses = 4, kPerElement = 5;  // x, residual twice, out; add, square, sum, two products
      all.push_back({{{"tokens", tokens}, {"width", width}},
                     kPasses * sizeof(Bf16) * elements,
                     kPerElement * elements,
                     2 * sizeof(Bf16) * static_cast<std::size_t>(elements)});
    }
  return all;
}

std::unique_ptr<Work> NormOperation::make(const OperationCase& size, const MemoryRing& cold,
                                          const cudaDeviceProp& /*device*/) const {
  return std::make_unique<NormWork>(static_cast<int>(size.sizes[0].second), static_cast<int>(size.sizes[1].second),
                                    cold);
}

}  // namespace moesim::cuda
