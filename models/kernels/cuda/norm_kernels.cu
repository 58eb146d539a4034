// RMSNorm, compiled.

#include <algorithm>

#include "models/kernels/cuda/launch_kernel.cuh"
#include "models/kernels/cuda/norm_kernels.hpp"
#include "models/kernels/cuda/rms_norm.cuh"

namespace moesim::cuda {
namespace {

constexpr int kMostBlocks = 2048;

template <int kVectors>
cudaError_t launch(const RmsNorm& norm, cudaStream_t stream) {
  const Grid grid{std::clamp(norm.tokens, 1, kMostBlocks), kRmsNormThreads, kRmsNormSharedBytes};
  return launch_kernel(rms_norm<kVectors>, grid, stream, norm);
}

}  // namespace

cudaError_t launch_rms_norm(RmsNorm norm, cudaStream_t stream) {
  constexpr int kPerVector = 8 * kRmsNormThreads;
  if (norm.width % 8 != 0 || norm.width > 8 * kPerVector) return cudaErrorInvalidValue;
  if (norm.width <= 2 * kPerVector) return launch<2>(norm, stream);
  if (norm.width <= 4 * kPerVector) return launch<4>(norm, stream);
  return launch<8>(norm, stream);
}

}  // namespace moesim::cuda
