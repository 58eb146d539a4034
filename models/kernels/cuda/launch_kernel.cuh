#pragma once
// Launches the kernels of this folder: on a device, or where nvcc does not compile, under the emulation.

#include <cstddef>

#include <cuda_runtime.h>

#include "models/kernels/cuda/primitives.cuh"

namespace moesim::cuda {

struct Grid {
  int blocks, threads;
  std::size_t shared_bytes = 0;
};

/// Puts the kernel on the stream and does not wait; a refused launch is returned.
template <class... Parameters, class... Arguments>
cudaError_t launch_kernel(void (*kernel)(Parameters...), const Grid& grid, [[maybe_unused]] cudaStream_t stream,
                          const Arguments&... arguments) {
#ifdef __CUDACC__
  kernel<<<static_cast<unsigned>(grid.blocks), static_cast<unsigned>(grid.threads), grid.shared_bytes, stream>>>(
      arguments...);
  return cudaGetLastError();
#else
  emulation::launch({grid.blocks, grid.threads, grid.shared_bytes}, [&] { kernel(arguments...); });
  return cudaSuccess;
#endif
}

}  // namespace moesim::cuda
