// Verifies the grouped GEMMs on this device, then times them at the shapes of four models: a first look at a new GPU.
//
//   cmake --preset cuda && cmake --build build/cuda --target time_experts &&
//   build/cuda/models/kernels/cuda/time_experts
//
// One JSON object per line. `of_copy_rate` is the rate at which the weights were read, over this device's copy rate
// measured in the same run: decode is as good as it is near 1. Weights rotate through more than five times the L2
// cache, so that they come from memory as they do between the layers of a model. Exits 77 when there is no device, 1
// when a kernel is wrong.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>

#include "models/kernels/cuda/device_memory.cuh"
#include "models/kernels/cuda/verify_gemm.hpp"

namespace {

using namespace moesim::cuda;

constexpr double kTolerance = 4e-3;
constexpr int kExperts = 8, kLaunches = 20, kWarmUp = 3, kSamples = 31;

struct Shape {
  const char* model;
  int h, i;
};
constexpr Shape kShapes[] = {{"mixtral-8x7b", 4096, 14336},
                             {"qwen3-235b", 4096, 1536},
                             {"deepseek-v3", 7168, 2048},
                             {"gpt-oss-120b", 2880, 2880}};

/// Finite values of both signs between 2^-9 and 2^-1.
__global__ void fill(std::uint32_t* pairs, std::size_t size, std::uint32_t seed) {
  for (std::size_t at = blockIdx.x * std::size_t{blockDim.x} + threadIdx.x; at < size;
       at += std::size_t{gridDim.x} * blockDim.x) {
    std::uint32_t z = (static_cast<std::uint32_t>(at) ^ seed) * 0x9E3779B9u;
    z = (z ^ (z >> 16)) * 0x85EBCA6Bu;
    pairs[at] = (z & 0x83FF83FFu) | 0x3B003B00u;
  }
}

struct Times {
  double median, p10, p90;  // microseconds
};

/// Times `work(i)` for i = 0 .. kLaunches - 1 as one graph, per launch.
template <class Work>
Times time_graph(const Work& work) {
  cudaStream_t stream;
  cudaGraph_t graph;
  cudaGraphExec_t executable;
  cudaEvent_t start, stop;
  check(cudaStreamCreate(&stream), "stream");
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), "capture");
  for (int i = 0; i < kLaunches; ++i) work(i, stream);
  check(cudaStreamEndCapture(stream, &graph), "capture");
  check(cudaGraphInstantiate(&executable, graph, 0), "graph");
  check(cudaEventCreate(&start), "event");
  check(cudaEventCreate(&stop), "event");
  std::vector<double> samples;
  for (int run = 0; run < kWarmUp + kSamples; ++run) {
    check(cudaEventRecord(start, stream), "event");
    check(cudaGraphLaunch(executable, stream), "graph");
    check(cudaEventRecord(stop, stream), "event");
    check(cudaEventSynchronize(stop), "kernels");
    float milliseconds = 0;
    check(cudaEventElapsedTime(&milliseconds, start, stop), "event");
    if (run >= kWarmUp) samples.push_back(1e3 * milliseconds / kLaunches);
  }
  cudaEventDestroy(start), cudaEventDestroy(stop), cudaGraphExecDestroy(executable), cudaGraphDestroy(graph);
  cudaStreamDestroy(stream);
  std::sort(samples.begin(), samples.end());
  return {samples[kSamples / 2], samples[kSamples / 10], samples[kSamples - 1 - kSamples / 10]};
}

/// Bytes read and written per microsecond by the device's own copy.
double copy_rate() {
  constexpr std::size_t kBytes = std::size_t{1} << 30;
  DeviceArray<unsigned char> from{kBytes}, to{kBytes};
  const Times times = time_graph([&](int, cudaStream_t stream) {
    check(cudaMemcpyAsync(to.data(), from.data(), kBytes, cudaMemcpyDeviceToDevice, stream), "copy");
  });
  return 2.0 * kBytes / times.median;
}

/// Prints the time of one variant for `rows` rows in each of kExperts experts.
void time_variant(const GemmVariant& variant, const cudaDeviceProp& device, const Shape& shape, int rows,
                  double copied) {
  const bool first = variant.epilogue == Epilogue::swiglu;
  const int n = first ? 2 * shape.i : shape.h, k = first ? shape.h : shape.i;
  if (!fits_device(variant, n, device)) return;
  int blocks = 0;
  check(prepare(variant, device, blocks), variant.name);
  const std::size_t weights = std::size_t{kExperts} * static_cast<std::size_t>(n) * static_cast<std::size_t>(k);
  const std::size_t copies = 5 * static_cast<std::size_t>(device.l2CacheSize) / (2 * weights) + 2;
  const auto all_rows = static_cast<std::size_t>(kExperts * rows);
  DeviceArray<Bf16> b{copies * weights}, a{all_rows * static_cast<std::size_t>(k)},
      c{all_rows * static_cast<std::size_t>(n)};
  DeviceArray<float> scales{std::vector<float>(all_rows, 0.5f)};
  fill<<<1024, 256>>>(reinterpret_cast<std::uint32_t*>(b.data()), b.size() / 2, 1);
  fill<<<1024, 256>>>(reinterpret_cast<std::uint32_t*>(a.data()), a.size() / 2, 2);
  DeviceTileMap map{std::vector<int>(kExperts, rows), variant.rows, 0};
  check(cudaDeviceSynchronize(), "inputs");
  const Times times = time_graph([&](int i, cudaStream_t stream) {
    const Bf16* rotated = b.data() + static_cast<std::size_t>(i) % copies * weights;
    check(launch(variant, {a.data(), nullptr, rotated, c.data(), scales.data(), map.map(), n, k}, blocks, stream),
          variant.name);
  });
  std::printf(
      "{\"model\": \"%s\", \"gemm\": %d, \"variant\": \"%s\", \"experts\": %d, \"rows_per_expert\": %d, \"median_us\": "
      "%.2f, "
      "\"p10_us\": %.2f, \"p90_us\": %.2f, \"tflops\": %.1f, \"of_copy_rate\": %.3f}\n",
      shape.model, first ? 1 : 2, variant.name, kExperts, rows, times.median, times.p10, times.p90,
      2e-6 * static_cast<double>(weights) * rows / times.median,
      2.0 * static_cast<double>(weights) / times.median / copied);
}

bool verify_all(const cudaDeviceProp& device, std::uint64_t seed) {
  bool right = true;
  for (const GemmVariant& variant : gemm_variants()) {
    if (!fits_device(variant, variant.columns, device)) continue;
    const double error = verify(variant, device, seed);
    right &= error <= kTolerance;
    std::printf("{\"verified\": \"%s\", \"gemm\": %d, \"right\": %s, \"seed\": %llu, \"relative_error\": ",
                variant.name, variant.epilogue == Epilogue::swiglu ? 1 : 2, error <= kTolerance ? "true" : "false",
                static_cast<unsigned long long>(seed));
    if (std::isfinite(error))
      std::printf("%.2e}\n", error);
    else
      std::printf("null}\n");  // not a number, or rows written that are not its own
  }
  return right;
}

int run() {
  cudaDeviceProp device{};
  check(cudaGetDeviceProperties(&device, 0), "properties");
  if (!verify_all(device, static_cast<std::uint64_t>(std::time(nullptr)))) {
    std::fprintf(stderr, "time_experts: a kernel is wrong on this device; nothing was timed\n");
    return 1;
  }
  const double copied = copy_rate();
  std::printf("{\"gpu\": \"%s\", \"sms\": %d, \"copy_gb_per_s\": %.1f}\n", device.name, device.multiProcessorCount,
              copied * 1e-3);
  for (const int rows : {1, 8, 16, 64, 256, 1024, 2048})
    for (const Shape& shape : kShapes)
      for (const GemmVariant& variant : gemm_variants()) time_variant(variant, device, shape, rows, copied);
  return 0;
}

}  // namespace

int main() {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
    std::fprintf(stderr, "time_experts: no CUDA device\n");
    return 77;
  }
  try {
    return run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "time_experts: %s\n", error.what());
    return 1;
  }
}
