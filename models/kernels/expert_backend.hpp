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

/// No kernel of the backend takes this shape or so many rows; others it may.
class KernelMissing : public std::runtime_error {
public:
  using std::runtime_error::runtime_error;
};

enum class Caches {
  cold,  ///< weights come from memory: sets rotate, beyond the last-level cache
  warm   ///< every call reads the same weights
};

struct KernelRun {
  std::string kernel;          ///< the implementation that ran, as profiles name it
  std::vector<Seconds> times;  ///< one per call
};

/// What the verification of one kernel against double precision found.
struct VerifiedKernel {
  std::string kernel;
  double relative_error = 0;  ///< infinite: something was written that should not be, or is no number
  double tolerance = 0;

  bool right() const { return relative_error <= tolerance; }
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
  /// What only the end of the measurements can tell: the clocks in between.
  virtual std::vector<std::string> closing_notes() { return {}; }

  /// Formats that run here, best known first.
  virtual std::vector<KernelFormat> formats() const = 0;

  /// Every kernel on this device, on inputs of `seed`, before any of their times is believed; empty where the tests of
  /// this build have done that.
  virtual std::vector<VerifiedKernel> verify(std::uint64_t /*seed*/) { return {}; }

  virtual BytesPerSecond measure_copy() = 0;
  /// One large square product: by the fastest library that is there first, then by the kernels that calls of run use.
  virtual std::vector<FormatRate> measure_gemm(KernelFormat format) = 0;

  /// Memory that a call needs at most: the pool of weights, activations of `rows`, `most` of them on one expert.
  virtual Bytes memory_needed(const KernelShape& shape, std::int64_t rows, std::int32_t most) const = 0;

  /// Makes weights for a shape, which the next calls of run use. Throws std::bad_alloc.
  virtual void prepare(const KernelShape& shape) = 0;

  /// Runs the expert FFN of the prepared shape `calls` times on `rows_per_expert` [experts] and times each call.
  /// What can be made ahead for a histogram is not in the times. Throws std::bad_alloc and KernelMissing.
  virtual KernelRun run(std::span<const std::int32_t> rows_per_expert, int calls, Caches caches) = 0;

  /// Kernels other than the expert FFN, at the sizes worth knowing, most useful first; their times are empty.
  virtual std::vector<OperationPoint> operations() const { return {}; }
  /// One of operations(), cold: the time of each call. Throws std::bad_alloc.
  virtual std::vector<Seconds> run_operation(std::size_t index, int calls);
};

}  // namespace moesim
