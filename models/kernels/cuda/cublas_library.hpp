#pragma once
// cuBLAS as a comparator, found at run time: nothing but cudart is linked, and a machine without it just has no
// comparator.

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include <cuda_runtime.h>

#include "models/kernels/cuda/device_memory.cuh"

namespace moesim::cuda {

/// c = a b^T for every expert: a [rows of e, k], b [n, k], c [rows of e, n], row-major, in bf16 with fp32 sums.
struct ExpertProducts {
  const Bf16* a;
  const Bf16* b;
  Bf16* c;
  std::vector<int> rows;  ///< per expert, contiguous; experts without rows are skipped
  int n;
  int k;
};

/// Of the number that cuBLAS and cublasLt tell: 130100 is "13.1.0".
std::string cublas_version(std::size_t number);

class CublasLibrary {
public:
  /// Empty when no cuBLAS of version 12 or 13 can be loaded or it refuses the device.
  static std::unique_ptr<CublasLibrary> load();
  ~CublasLibrary();

  /// "13.1.0"; empty when it does not tell.
  std::string version() const;

  /// One cublasGemmEx per expert. Returns the first status of cuBLAS that is not 0, or 0.
  int multiply_in_loop(const ExpertProducts& products, cudaStream_t stream);

  /// The arguments of a grouped call: host arrays, and the pointers in device memory, where cuBLAS reads them.
  class Grouped {
  public:
    explicit Grouped(const ExpertProducts& products);

  private:
    friend class CublasLibrary;
    std::vector<int> rows_, columns_, depth_, transposed_, plain_, once_;
    std::vector<float> one_, zero_;
    DeviceArray<const void*> a_, b_;
    DeviceArray<void*> c_;
  };
  bool has_grouped() const;
  /// One cublasGemmGroupedBatchedEx (12.5 and newer) with a group per expert.
  int multiply(const Grouped& grouped, cudaStream_t stream);

private:
  struct Functions;
  explicit CublasLibrary(std::unique_ptr<Functions> functions);
  std::unique_ptr<Functions> functions_;
};

}  // namespace moesim::cuda
