#pragma once
// Where expert kernels really run: what calibration and replay need of a device, and no more.

#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "models/kernels/profile.hpp"

namespace moesim {

/// This build or machine lacks what a backend needs (exit 77): what() names it and what to do.
class BackendMissing : public std::runtime_error {
public:
  using std::runtime_error::runtime_error;
};

enum class Caches {
  cold,  ///< weights come from memory: sets rotate, beyond the last-level cache
  warm   ///< every call reads the same weights
};

/// One device. Not for use by several threads.
class ExpertBackend {
public:
  virtual ~ExpertBackend() = default;

  /// What it is; the ceilings are zero and empty until they are measured by the two calls below.
  virtual ProfileDevice device() const = 0;
  virtual std::vector<LibraryVersion> libraries() const = 0;
  /// On clocks, other load and what this device cannot do.
  virtual std::vector<std::string> notes() const = 0;

  /// Formats that run here, best known first.
  virtual std::vector<KernelFormat> formats() const = 0;
  /// The implementation that runs a format, as profiles name it.
  virtual std::string kernel(KernelFormat format) const = 0;

  virtual BytesPerSecond measure_copy() = 0;
  virtual FlopsPerSecond measure_gemm(KernelFormat format) = 0;

  /// Memory that a call needs at most: the pool of weights, activations of `rows`, `most` of them on one expert.
  virtual Bytes memory_needed(const KernelShape& shape, std::int64_t rows, std::int32_t most) const = 0;

  /// Makes weights for a shape, which the next calls of run use. Throws std::bad_alloc.
  virtual void prepare(const KernelShape& shape) = 0;

  /// Runs the expert FFN of the prepared shape `calls` times on `rows_per_expert` [experts] and times each call.
  /// What can be made ahead for a histogram is not in the times. Throws std::bad_alloc.
  virtual std::vector<Seconds> run(std::span<const std::int32_t> rows_per_expert, int calls, Caches caches) = 0;
};

}  // namespace moesim
