#pragma once
// Times calls of a Work on the device's own clock.

#include <vector>

#include <cuda_runtime.h>

#include "models/kernels/cuda/operations.hpp"

namespace moesim::cuda {

/// Calls below 200 us are launched many at once, as a CUDA graph, so that neither the host nor the clock's steps are in
/// their times; longer ones alone. A graph holds as many calls as the memory has sets, so that its next replay finds
/// them cold.
class CallTimer {
public:
  CallTimer();
  ~CallTimer();
  CallTimer(const CallTimer&) = delete;
  CallTimer& operator=(const CallTimer&) = delete;

  /// Makes `work`, whose memory is cold again after `sets` calls, what times() times, and warms up. It must live as
  /// long as it is timed. Work that cannot be captured (some libraries) is put on the stream call by call.
  void start(Work& work, int sets);

  /// Seconds per call, one for each sample. Throws std::runtime_error for what the device reports.
  std::vector<double> times(int samples);

  /// Of few samples, enough to choose between kernels.
  double quick(Work& work, int sets);

  int calls_per_sample() const { return calls_; }

private:
  double sample();
  /// Whether it could be.
  bool capture();
  void drop_graph();

  cudaStream_t stream_ = nullptr;
  cudaEvent_t begin_ = nullptr, end_ = nullptr;
  cudaGraphExec_t graph_ = nullptr;
  Work* work_ = nullptr;
  int calls_ = 1, next_ = 0;  ///< calls of a sample, and the number of the next call outside a graph
};

/// The element in the middle, the upper of two. Requires values.
double median(std::vector<double> values);

}  // namespace moesim::cuda
