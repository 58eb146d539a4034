#include "models/kernels/cuda/mma_gemm_kernel.hpp"

#include "models/kernels/cuda/device_memory.cuh"
#include "models/kernels/cuda/verify_gemm.hpp"

namespace moesim::cuda {
namespace {

class MmaWork final : public Work {
public:
  MmaWork(const GemmVariant& variant, const GemmProblem& problem)
      : variant_{variant}, weights_{problem.weights}, map_{problem.rows, variant.rows, 0}, gemm_{problem.a,
                                                                                                 nullptr,
                                                                                                 nullptr,
                                                                                                 problem.c,
                                                                                                 problem.row_scale,
                                                                                                 map_.map(),
                                                                                                 problem.n,
                                                                                                 problem.k} {
    check(prepare(variant_, problem.device, blocks_), variant_.name);
    check(cudaDeviceSynchronize(), "tile map");
  }

  void launch(int call, cudaStream_t stream) override {
    gemm_.b = reinterpret_cast<const Bf16*>(weights_.at(call));
    check(cuda::launch(variant_, gemm_, blocks_, stream), variant_.name);
  }

private:
  const GemmVariant& variant_;
  MemoryRing weights_;
  DeviceTileMap map_;
  GroupedGemm gemm_;
  int blocks_ = 0;
};

}  // namespace

bool MmaGemmKernel::fits(int n, int k, int /*most_rows*/, const cudaDeviceProp& device) const {
  constexpr int kStageDepth = 64;  // of the ring that brings operands
  return k % kStageDepth == 0 && fits_device(variant_, n, device);
}

std::size_t MmaGemmKernel::weight_bytes(int n, int k) const {
  return sizeof(Bf16) * static_cast<std::size_t>(n) * static_cast<std::size_t>(k);
}

double MmaGemmKernel::verify(const cudaDeviceProp& device, std::uint64_t seed) const {
  return cuda::verify(variant_, device, seed);
}

std::unique_ptr<Work> MmaGemmKernel::make(const GemmProblem& problem) const {
  return std::make_unique<MmaWork>(variant_, problem);
}

}  // namespace moesim::cuda
