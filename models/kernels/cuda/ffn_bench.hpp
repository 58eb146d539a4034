#pragma once
// The expert FFN of one rank as a Work: GEMM1 and GEMM2, each with the fastest kernel for its shape and rows.

#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "models/kernels/cuda/call_timer.hpp"
#include "models/kernels/cuda/device_memory.cuh"
#include "models/kernels/cuda/device_pool.hpp"
#include "models/kernels/cuda/operations.hpp"

namespace moesim::cuda {

struct FfnShape {
  int hidden = 0, intermediate = 0, experts = 0;
  std::string format;
  auto operator<=>(const FfnShape&) const = default;
};

/// A histogram's FFN, ready to be timed.
struct FfnWork {
  std::string kernel;  ///< "mma_16x64+mma_32x128": of GEMM1 and GEMM2
  std::unique_ptr<Work> work;
  int sets = 1;
};

/// No kernel takes this shape or so many rows.
class NoKernel : public std::runtime_error {
public:
  using std::runtime_error::runtime_error;
};

class FfnBench {
public:
  /// All of these must outlive it.
  FfnBench(const cudaDeviceProp& device, DevicePool& pool, CallTimer& timer)
      : device_{device}, pool_{pool}, timer_{timer} {}

  /// Formats that have kernels for both GEMMs here, in the order of gemm_kernels().
  std::vector<std::string> formats() const;

  /// rows [shape.experts], not all 0. `cold`: sets rotate; else one set.
  ///
  /// What an engine knows when it launches is the number of rows, not their histogram: the kernels are those that are
  /// fastest when every expert has the mean rows, rounded up to a power of two, of those that take the most rows there
  /// are. Measured once each. Throws std::bad_alloc, and NoKernel when none fits.
  FfnWork make(const FfnShape& shape, const std::vector<int>& rows, bool cold);

private:
  /// Where activations are; grown when more rows come.
  struct Buffers {
    std::unique_ptr<DeviceArray<Bf16>> x, middle, y;
    std::unique_ptr<DeviceArray<float>> scales;
  };
  using ChoiceKey = std::tuple<FfnShape, int, int>;  ///< shape, GEMM, mean rows

  GemmProblem problem(const FfnShape& shape, const std::vector<int>& rows, int gemm, bool cold);
  /// Fastest first.
  const std::vector<const GemmKernel*>& ranked(const FfnShape& shape, int gemm, int mean_rows);
  const GemmKernel& chosen(const FfnShape& shape, int gemm, int mean_rows, int most_rows);
  std::size_t weight_bytes(const FfnShape& shape, int gemm) const;
  void reserve(const FfnShape& shape, std::size_t rows);

  const cudaDeviceProp& device_;
  DevicePool& pool_;
  CallTimer& timer_;
  Buffers buffers_;
  std::map<ChoiceKey, std::vector<const GemmKernel*>> ranked_;
};

}  // namespace moesim::cuda
