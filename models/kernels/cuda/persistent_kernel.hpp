#pragma once
// A compiled kernel that runs right with any number of blocks, and so with as many as the device holds at once.

#include <cuda_runtime.h>

namespace moesim::cuda {

struct PersistentKernel {
  const void* function;
  int threads;
  int shared_bytes;
};

inline bool fits_device(const PersistentKernel& kernel, const cudaDeviceProp& device) {
  return static_cast<std::size_t>(kernel.shared_bytes) <= device.sharedMemPerBlockOptin;
}

/// Allows the kernel its shared memory and tells how many blocks fill the device. Once per kernel and device.
inline cudaError_t prepare(const PersistentKernel& kernel, const cudaDeviceProp& device, int& blocks) {
  const cudaError_t allowed =
      cudaFuncSetAttribute(kernel.function, cudaFuncAttributeMaxDynamicSharedMemorySize, kernel.shared_bytes);
  if (allowed != cudaSuccess) return allowed;
  int per_sm = 0;
  const cudaError_t counted = cudaOccupancyMaxActiveBlocksPerMultiprocessor(
      &per_sm, kernel.function, kernel.threads, static_cast<std::size_t>(kernel.shared_bytes));
  blocks = per_sm * device.multiProcessorCount;
  return counted;
}

/// `argument`: the kernel's only one.
template <class Argument>
cudaError_t launch(const PersistentKernel& kernel, Argument argument, int blocks, cudaStream_t stream) {
  void* arguments[] = {&argument};
  return cudaLaunchKernel(kernel.function, dim3(static_cast<unsigned>(blocks)),
                          dim3(static_cast<unsigned>(kernel.threads)), arguments,
                          static_cast<std::size_t>(kernel.shared_bytes), stream);
}

}  // namespace moesim::cuda
