#pragma once
// cublasLt as a comparator, found at run time like cuBLAS: it chooses its kernel by heuristics for each number of rows.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <tuple>

#include <cuda_runtime.h>

#include "models/kernels/cuda/cublas_library.hpp"

namespace moesim::cuda {

class CublasLtLibrary {
public:
  /// Empty when no cublasLt of version 12 or 13 can be loaded or it refuses the device.
  static std::unique_ptr<CublasLtLibrary> load();
  ~CublasLtLibrary();

  std::string version() const;

  /// One cublasLtMatmul per expert with rows. The kernel for each size is chosen at its first call. Returns the first
  /// status that is not 0, or 0.
  int multiply_in_loop(const ExpertProducts& products, cudaStream_t stream);

private:
  struct Functions;
  struct Plan;
  using Size = std::tuple<int, int, int>;  ///< n, rows, k

  explicit CublasLtLibrary(std::unique_ptr<Functions> functions);
  int plan(const Size& size, Plan*& found);

  std::unique_ptr<Functions> functions_;
  std::map<Size, std::unique_ptr<Plan>> plans_;
  DeviceArray<unsigned char> workspace_;
};

}  // namespace moesim::cuda
