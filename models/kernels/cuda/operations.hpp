#pragma once
// What the calibration worker can time on a device: the place where a kernel plugs in.
//
// * Another way to run one of the two GEMMs of the expert FFN (other instructions, other weights): a GemmKernel, added
//   in gemm_kernels(). A compiled variant of gemm_variants() is there by itself. The worker verifies every kernel once,
//   then takes for each shape and number of rows the fastest that fits, GEMM by GEMM.
// * Any other operation (attention, a norm): an Operation with the sizes it is worth to know at, added in operations().

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <cuda_runtime.h>

#include "models/kernels/cuda/operands.hpp"

namespace moesim::cuda {

/// Kernel calls that can be put on a stream again and again: everything is allocated, filled and built.
class Work {
public:
  virtual ~Work() = default;
  /// Puts one call on the stream and does not wait. `call` counts from 0: each call reads the next part of the memory
  /// that is to be cold. May be captured into a graph. Throws std::runtime_error when the launch is refused.
  virtual void launch(int call, cudaStream_t stream) = 0;
};

/// Device memory full of random words, cut into sets that calls read in turn.
struct MemoryRing {
  const std::byte* base = nullptr;  ///< 256-byte aligned
  std::size_t stride = 0;           ///< from one set to the next, a multiple of 256
  int sets = 1;

  const std::byte* at(int call) const { return base + static_cast<std::size_t>(call % sets) * stride; }
};

/// Which random words are good data: every 32-bit word of the memory is (random & keep) | set.
struct WordPattern {
  std::uint32_t keep = 0x83FF83FFu, set = 0x38003800u;  ///< pairs of bf16 from 2^-15 to 2^-7, of both signs
  bool operator==(const WordPattern&) const = default;
};

/// One GEMM of the expert FFN, sorted by expert: 1 is [rows, h] x [2 i, h]^T with SwiGLU, 2 is [rows, i] x [h, i]^T
/// times the combine weight of the row; over mxfp4 weights with the biases and the clamp of gpt-oss.
struct GemmProblem {
  const cudaDeviceProp& device;
  std::vector<int> rows;             ///< of each expert, one after the other
  int n = 0;                         ///< rows of an expert's weights: 2 i or h
  int k = 0;                         ///< h or i
  const Bf16* a = nullptr;           ///< [all rows, k]
  Bf16* c = nullptr;                 ///< [all rows, i] or [all rows, h]
  const float* row_scale = nullptr;  ///< [all rows]
  MemoryRing weights;                ///< a set: [experts, weight_bytes(n, k)], at least
};

class GemmKernel {
public:
  virtual ~GemmKernel() = default;
  virtual std::string name() const = 0;    ///< "mma_64x128"
  virtual std::string format() const = 0;  ///< of the weights, as profiles say it: "bf16", "fp8", "int4", "mxfp4"
  virtual int gemm() const = 0;            ///< 1 or 2
  /// `most_rows` on one expert; a kernel that fits many rows fits fewer.
  virtual bool fits(int n, int k, int most_rows, const cudaDeviceProp& device) const = 0;
  /// One expert's weights with their scales, a multiple of 16.
  virtual std::size_t weight_bytes(int n, int k) const = 0;
  /// Equal for all kernels of a format and GEMM.
  virtual WordPattern words() const { return {}; }
  /// Worst relative error against fp64 on this device, on ragged and empty experts; infinite when something was
  /// written that should not. The kernel is right when it is not above tolerance().
  virtual double verify(const cudaDeviceProp& device, std::uint64_t seed) const = 0;
  virtual double tolerance() const { return 4e-3; }
  /// Throws std::bad_alloc when the device's memory does not do.
  virtual std::unique_ptr<Work> make(const GemmProblem& problem) const = 0;
};

/// One size that an operation is timed at.
struct OperationCase {
  std::vector<std::pair<std::string, std::int64_t>> sizes;  ///< {"batch", 32}, {"length", 4096}
  std::uint64_t moved_bytes = 0;                            ///< fewest that memory must move
  std::uint64_t operations = 0;                             ///< floating-point
  std::size_t cold = 0;  ///< bytes that a call should find in memory and not in a cache: what one set of the ring holds
};

class Operation {
public:
  virtual ~Operation() = default;
  virtual std::string name() const = 0;    ///< "gqa_decode"
  virtual std::string kernel() const = 0;  ///< "mma_split_kv"
  virtual std::string format() const = 0;  ///< of what is read most
  virtual WordPattern words() const { return {}; }
  virtual bool fits(const cudaDeviceProp& device) const = 0;
  virtual double verify(const cudaDeviceProp& device, std::uint64_t seed) const = 0;
  virtual double tolerance() const { return 4e-3; }
  /// Most useful first.
  virtual std::vector<OperationCase> cases() const = 0;
  /// `cold` has sets of size.cold bytes. Throws std::bad_alloc.
  virtual std::unique_ptr<Work> make(const OperationCase& size, const MemoryRing& cold,
                                     const cudaDeviceProp& device) const = 0;
};

const std::vector<std::unique_ptr<GemmKernel>>& gemm_kernels();
const std::vector<std::unique_ptr<Operation>>& operations();

}  // namespace moesim::cuda
