// Measures what this device's memory sustains: the `memory_bandwidth * memory_efficiency` line of every roofline.
//
//   cmake --preset cuda && cmake --build build/cuda && build/cuda/models/kernels/cuda/memory_rate > memory_rate.json
//
// Copies a buffer much larger than L2, so that every byte is read from and written to memory once. Prints one JSON
// object with the median of the runs and its spread; exits 77 when there is no device.

#include <algorithm>
#include <cstdio>
#include <vector>

#include <cuda_runtime.h>

namespace {

constexpr size_t kBytes = size_t{1} << 30;  // 1 GiB: 20 times the largest L2 of the catalogue
constexpr int kWarmUp = 3;
constexpr int kRuns = 21;

bool ok(cudaError_t status, const char* what) {
  if (status != cudaSuccess) std::fprintf(stderr, "memory_rate: %s: %s\n", what, cudaGetErrorString(status));
  return status == cudaSuccess;
}

// x [n] -> y [n]. Grid-stride, 16 bytes per access so that the load unit is never the limit.
__global__ void copy_kernel(const float4* x, float4* y, size_t n) {
  for (size_t i = blockIdx.x * size_t{blockDim.x} + threadIdx.x; i < n; i += size_t{gridDim.x} * blockDim.x)
    y[i] = x[i];
}

// Milliseconds of one copy, negative on failure.
float time_copy(const float4* x, float4* y, int blocks) {
  cudaEvent_t start, stop;
  float milliseconds = -1;
  if (!ok(cudaEventCreate(&start), "event") || !ok(cudaEventCreate(&stop), "event")) return -1;
  cudaEventRecord(start);
  copy_kernel<<<blocks, 512>>>(x, y, kBytes / sizeof(float4));
  cudaEventRecord(stop);
  if (ok(cudaEventSynchronize(stop), "copy") && ok(cudaGetLastError(), "launch"))
    cudaEventElapsedTime(&milliseconds, start, stop);
  cudaEventDestroy(start);
  cudaEventDestroy(stop);
  return milliseconds;
}

}  // namespace

int main() {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
    std::fprintf(stderr, "memory_rate: no CUDA device\n");
    return 77;
  }
  cudaDeviceProp gpu{};
  float4 *x = nullptr, *y = nullptr;
  if (!ok(cudaGetDeviceProperties(&gpu, 0), "properties") || !ok(cudaMalloc(&x, kBytes), "memory") ||
      !ok(cudaMalloc(&y, kBytes), "memory") || !ok(cudaMemset(x, 1, kBytes), "fill"))
    return 1;
  std::vector<float> runs;
  for (int i = 0; i < kWarmUp + kRuns; ++i) {
    const float milliseconds = time_copy(x, y, gpu.multiProcessorCount * 4);
    if (milliseconds <= 0) return 1;
    if (i >= kWarmUp) runs.push_back(milliseconds);
  }
  std::sort(runs.begin(), runs.end());
  const auto rate = [](float milliseconds) { return 2.0 * kBytes / (milliseconds * 1e-3); };
  std::printf(
      "{\"gpu\": \"%s\", \"sms\": %d, \"kernel\": \"copy\", \"bytes_read_and_written\": %zu, \"runs\": %d,\n"
      " \"bytes_per_s_median\": %.6e, \"bytes_per_s_best\": %.6e, \"bytes_per_s_worst\": %.6e}\n",
      gpu.name, gpu.multiProcessorCount, 2 * kBytes, kRuns, rate(runs[kRuns / 2]), rate(runs.front()),
      rate(runs.back()));
  return 0;
}
