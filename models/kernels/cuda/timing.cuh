#pragma once
// How the programs of this folder time work on a stream: samples of several launches between two events.

#include <algorithm>

#include "models/kernels/cuda/device_memory.cuh"

namespace moesim::cuda {

constexpr int kLaunches = 20, kWarmUp = 3, kSamples = 31;

struct Times {
  double median, p10, p90;  // microseconds per launch
};

/// Times `launch_all(stream)`, which puts kLaunches launches on the stream.
template <class Work>
Times time_stream(cudaStream_t stream, const Work& launch_all) {
  cudaEvent_t start, stop;
  check(cudaEventCreate(&start), "event");
  check(cudaEventCreate(&stop), "event");
  std::vector<double> samples;
  for (int run = 0; run < kWarmUp + kSamples; ++run) {
    check(cudaEventRecord(start, stream), "event");
    launch_all(stream);
    check(cudaEventRecord(stop, stream), "event");
    check(cudaEventSynchronize(stop), "kernels");
    float milliseconds = 0;
    check(cudaEventElapsedTime(&milliseconds, start, stop), "event");
    if (run >= kWarmUp) samples.push_back(1e3 * milliseconds / kLaunches);
  }
  cudaEventDestroy(start);
  cudaEventDestroy(stop);
  std::sort(samples.begin(), samples.end());
  return {samples[kSamples / 2], samples[kSamples / 10], samples[kSamples - 1 - kSamples / 10]};
}

/// Times `launch(i, stream)` for i = 0 .. kLaunches - 1 as one CUDA graph, so that the host is not in the way.
template <class Work>
Times time_graph(const Work& launch) {
  cudaStream_t stream;
  cudaGraph_t graph;
  cudaGraphExec_t executable;
  check(cudaStreamCreate(&stream), "stream");
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), "capture");
  for (int i = 0; i < kLaunches; ++i) launch(i, stream);
  check(cudaStreamEndCapture(stream, &graph), "capture");
  check(cudaGraphInstantiate(&executable, graph, 0), "graph");
  const Times times = time_stream(stream, [&](cudaStream_t on) { check(cudaGraphLaunch(executable, on), "graph"); });
  cudaGraphExecDestroy(executable);
  cudaGraphDestroy(graph);
  cudaStreamDestroy(stream);
  return times;
}

}  // namespace moesim::cuda
