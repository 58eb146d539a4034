#include "models/kernels/cuda/variant_gemm_kernel.hpp"

#include <numeric>
#include <optional>

#include "models/kernels/cuda/device_memory.cuh"
#include "models/kernels/cuda/fill_words.hpp"
#include "models/kernels/cuda/quantized_weights.hpp"
#include "models/kernels/cuda/verify_gemm.hpp"
#include "models/kernels/cuda/wgmma_kernels.hpp"

namespace moesim::cuda {
namespace {

class VariantWork final : public Work {
public:
  VariantWork(const GemmVariant& variant, bool hopper, const GemmProblem& problem)
      : variant_{variant},
        hopper_{hopper},
        weights_{problem.weights},
        map_{problem.rows, variant.rows, 0},
        rows_{std::accumulate(problem.rows.begin(), problem.rows.end(), 0)},
        experts_{static_cast<int>(problem.rows.size())} {
    gemm_ = {problem.a, nullptr, nullptr, problem.c, problem.row_scale, map_.map(), problem.n, problem.k};
    if (is_biased(variant_.epilogue)) {
      bias_.emplace(problem.rows.size() * static_cast<std::size_t>(problem.n));
      check(fill_words(bias_->data(), bias_->size() * sizeof(Bf16), {}, 3, nullptr), "biases");
      gemm_.bias = bias_->data();
    }
    check(prepare(variant_.kernel, problem.device, blocks_), variant_.name);
    check(cudaDeviceSynchronize(), "tile map");
  }

  void launch(int call, cudaStream_t stream) override {
    gemm_.b = weights_.at(call);
    check(hopper_ ? launch_wgmma(variant_, gemm_, rows_, experts_, blocks_, stream)
                  : cuda::launch(variant_.kernel, gemm_, blocks_, stream),
          variant_.name);
  }

private:
  const GemmVariant& variant_;
  bool hopper_;
  MemoryRing weights_;
  DeviceTileMap map_;
  int rows_, experts_, blocks_ = 0;
  std::optional<DeviceArray<Bf16>> bias_;
  GroupedGemm gemm_{};
};

}  // namespace

std::string VariantGemmKernel::format() const {
  if (is_int4(variant_.format)) return "int4";
  if (variant_.format == WeightFormat::mxfp4) return "mxfp4";
  return variant_.format == WeightFormat::bf16 ? "bf16" : "fp8";
}

/// Above these rows an engine would rather unpack the weights: the decode kernels read them again for every tile.
bool VariantGemmKernel::fits(int n, int k, int most_rows, const cudaDeviceProp& device) const {
  constexpr int kMostDecodeRows = 256;
  if (k % variant_.depth != 0 || (variant_.format != WeightFormat::bf16 && most_rows > kMostDecodeRows)) return false;
  return hopper_ ? fits_hopper(variant_, n, device) : fits_device(variant_, n, device);
}

std::size_t VariantGemmKernel::weight_bytes(int n, int k) const {
  return cuda::weight_bytes(variant_.format, n, k);
}

WordPattern VariantGemmKernel::words() const {
  // e4m3: no code that is no number, as 0x7F and 0xFF, which have bit 6. e8m0: no scale above 1, so that sums are
  // finite.
  constexpr WordPattern kFp8{0x83BF83BFu, 0x38003800u}, kMxfp4{0x7F7F7F7Fu, 0};
  if (variant_.format == WeightFormat::mxfp4) return kMxfp4;
  return variant_.format == WeightFormat::fp8_block128 ? kFp8 : WordPattern{};
}

double VariantGemmKernel::verify(const cudaDeviceProp& device, std::uint64_t seed) const {
  return hopper_ ? verify_wgmma(variant_, device, seed) : cuda::verify(variant_, device, seed);
}

std::unique_ptr<Work> VariantGemmKernel::make(const GemmProblem& problem) const {
  return std::make_unique<VariantWork>(variant_, hopper_, problem);
}

}  // namespace moesim::cuda
