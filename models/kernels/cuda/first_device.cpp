#include "models/kernels/cuda/first_device.hpp"

#include <string>

namespace moesim::cuda {

cudaDeviceProp first_device() {
  int devices = 0;
  const cudaError_t counted = cudaGetDeviceCount(&devices);
  if (counted != cudaSuccess) throw NoDevice{std::string{"no CUDA device: "} + cudaGetErrorString(counted)};
  if (devices == 0) throw NoDevice{"no CUDA device: the driver shows none"};
  cudaDeviceProp device{};
  const cudaError_t read = cudaGetDeviceProperties(&device, 0);
  if (read != cudaSuccess) throw NoDevice{std::string{"no CUDA device: "} + cudaGetErrorString(read)};
  constexpr int kOldest = 8;  // mma.sync with bf16, cp.async
  if (device.major < kOldest)
    throw NoDevice{std::string{"no CUDA device for these kernels: "} + device.name + " has compute capability " +
                   std::to_string(device.major) + "." + std::to_string(device.minor) + ", they need 8.0"};
  return device;
}

}  // namespace moesim::cuda
