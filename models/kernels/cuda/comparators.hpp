#pragma once
// What our kernels are measured against on the same device in the same minute: its own copy, and NVIDIA's libraries.

#include <functional>
#include <string>
#include <vector>

#include <cuda_runtime.h>

#include "models/kernels/cuda/call_timer.hpp"
#include "models/kernels/cuda/cublas_library.hpp"
#include "models/kernels/cuda/device_pool.hpp"

namespace moesim::cuda {

/// Calls of a library that say with a status (0: done) whether they were taken. A refusal is a std::runtime_error.
class LibraryWork final : public Work {
public:
  LibraryWork(std::string name, std::function<int(int call, cudaStream_t stream)> call)
      : name_{std::move(name)}, call_{std::move(call)} {}
  void launch(int call, cudaStream_t stream) override;

private:
  std::string name_;
  std::function<int(int, cudaStream_t)> call_;
};

/// Bytes read and written per second by the device's own copy of a quarter of the pool, 1 GiB at most.
double copy_rate(DevicePool& pool, CallTimer& timer);

struct ProductRate {
  std::string kernel;
  double rate = 0;  ///< FLOP/s
};

/// One product [size, size] x [size, size], 8192 where the pool has room, by every library that is there and, if
/// `format` is bf16, takes it; fastest first. Then by the fastest of our kernels of the format.
std::vector<ProductRate> product_rates(const std::string& format, const cudaDeviceProp& device, DevicePool& pool,
                                       CallTimer& timer);

}  // namespace moesim::cuda
