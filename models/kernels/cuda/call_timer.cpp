#include "models/kernels/cuda/call_timer.hpp"

#include <algorithm>
#include <stdexcept>

#include "models/kernels/cuda/device_memory.cuh"

namespace moesim::cuda {
namespace {

constexpr double kShort = 200e-6;  ///< seconds of a call that is not launched alone
constexpr int kInGraph = 20, kMostInGraph = 4096;
constexpr int kWarmUpReplays = 2, kQuickSamples = 3;

}  // namespace

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

CallTimer::CallTimer() {
  check(cudaStreamCreate(&stream_), "stream");
  check(cudaEventCreate(&begin_), "event");
  check(cudaEventCreate(&end_), "event");
}

CallTimer::~CallTimer() {
  drop_graph();
  cudaEventDestroy(begin_);
  cudaEventDestroy(end_);
  cudaStreamDestroy(stream_);
}

void CallTimer::drop_graph() {
  if (graph_ != nullptr) cudaGraphExecDestroy(graph_);
  graph_ = nullptr;
}

bool CallTimer::capture() {
  cudaGraph_t graph = nullptr;
  bool whole = true;
  check(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeGlobal), "capture");
  try {
    for (int call = 0; call < calls_; ++call) work_->launch(call, stream_);
  } catch (const std::runtime_error&) {
    whole = false;  // the stream is of no use before its capture has ended
  }
  whole &= cudaStreamEndCapture(stream_, &graph) == cudaSuccess && graph != nullptr;
  if (whole) whole = cudaGraphInstantiate(&graph_, graph, 0) == cudaSuccess;
  if (graph != nullptr) cudaGraphDestroy(graph);
  cudaGetLastError();
  return whole;
}

void CallTimer::start(Work& work, int sets) {
  drop_graph();
  work_ = &work;
  calls_ = 1;
  next_ = 0;
  sample();  // loads the module
  if (sample() >= kShort) return;
  // whole turns of the ring, or the first calls of a replay would find what the last ones of the one before left
  calls_ = std::min((kInGraph + sets - 1) / sets * sets, kMostInGraph);
  if (!capture()) drop_graph();
  for (int replay = 0; replay < kWarmUpReplays; ++replay) sample();
}

double CallTimer::sample() {
  check(cudaEventRecord(begin_, stream_), "event");
  if (graph_ != nullptr)
    check(cudaGraphLaunch(graph_, stream_), "graph");
  else
    for (int call = 0; call < calls_; ++call) work_->launch(next_++, stream_);
  check(cudaEventRecord(end_, stream_), "event");
  check(cudaEventSynchronize(end_), "kernels");
  float milliseconds = 0;
  check(cudaEventElapsedTime(&milliseconds, begin_, end_), "event");
  return 1e-3 * static_cast<double>(milliseconds) / calls_;
}

std::vector<double> CallTimer::times(int samples) {
  std::vector<double> seconds;
  for (int i = 0; i < samples; ++i) seconds.push_back(sample());
  return seconds;
}

double CallTimer::quick(Work& work, int sets) {
  start(work, sets);
  return median(times(kQuickSamples));
}

}  // namespace moesim::cuda
