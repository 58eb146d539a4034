// Verifies the grouped GEMMs on this device, then times them at the shapes of four models: a first look at a new GPU.
//
//   cmake --preset cuda && cmake --build build/cuda --target time_experts
//   build/cuda/models/kernels/cuda/time_experts > times.jsonl
//
// One JSON object per line. `of_copy_rate` is the rate at which the weights were read over this device's copy rate in
// the same run: decode is as good as it is near 1. Weights rotate through more than five times the L2 cache, so that
// they come from memory as they do between the layers of a model. cuBLAS, where it can be loaded, computes the same
// products without SwiGLU and combine weights, in a loop and grouped. Exits 77 without a device, 1 when a kernel is
// wrong.

#include <cmath>
#include <cstdio>
#include <ctime>
#include <functional>

#include "models/kernels/cuda/cublas_library.hpp"
#include "models/kernels/cuda/reference.hpp"
#include "models/kernels/cuda/timing.cuh"
#include "models/kernels/cuda/verify_gemm.hpp"

namespace {

using namespace moesim::cuda;

constexpr double kTolerance = 4e-3;
constexpr int kExperts = 8;

struct Shape {
  const char* model;
  int h, i;
};
constexpr Shape kShapes[] = {{"mixtral-8x7b", 4096, 14336},
                             {"qwen3-235b", 4096, 1536},
                             {"deepseek-v3", 7168, 2048},
                             {"gpt-oss-120b", 2880, 2880}};

/// Finite values of both signs, 2^-15 to 2^-7 in size.
__global__ void fill(std::uint32_t* pairs, std::size_t size, std::uint32_t seed) {
  const std::size_t stride = std::size_t{gridDim.x} * blockDim.x;
  for (std::size_t at = blockIdx.x * std::size_t{blockDim.x} + threadIdx.x; at < size; at += stride) {
    std::uint32_t z = (static_cast<std::uint32_t>(at) ^ seed) * 0x9E3779B9u;
    z = (z ^ (z >> 16)) * 0x85EBCA6Bu;
    pairs[at] = (z & 0x83FF83FFu) | 0x38003800u;
  }
}

DeviceArray<Bf16> filled(std::size_t size, std::uint32_t seed) {
  DeviceArray<Bf16> values{size};
  fill<<<1024, 256>>>(reinterpret_cast<std::uint32_t*>(values.data()), size / 2, seed);
  check(cudaDeviceSynchronize(), "inputs");
  return values;
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

/// One GEMM of one model with `rows` rows in each expert, and what to time it with.
class Problem {
public:
  Problem(const cudaDeviceProp& device, const Shape& shape, Epilogue epilogue, int rows, double copied)
      : device_{device},
        shape_{shape},
        epilogue_{epilogue},
        n_{first() ? 2 * shape.i : shape.h},
        k_{first() ? shape.h : shape.i},
        rows_{rows},
        copied_{copied},
        weights_{std::size_t{kExperts} * static_cast<std::size_t>(n_) * static_cast<std::size_t>(k_)},
        copies_{5 * static_cast<std::size_t>(device.l2CacheSize) / (2 * weights_) + 2},
        b_{filled(copies_ * weights_, 1)},
        a_{filled(all_rows() * static_cast<std::size_t>(k_), 2)},
        c_{all_rows() * static_cast<std::size_t>(n_)},
        scales_{std::vector<float>(all_rows(), 0.5f)} {}

  void time_own() {
    for (const GemmVariant& variant : gemm_variants()) {
      if (variant.epilogue != epilogue_ || !fits_device(variant, n_, device_)) continue;
      int blocks = 0;
      check(prepare(variant, device_, blocks), variant.name);
      DeviceTileMap map{std::vector<int>(kExperts, rows_), variant.rows, 0};
      check(cudaDeviceSynchronize(), "tile map");
      print(variant.name, time_graph([&](int i, cudaStream_t stream) {
              check(launch(variant, {a_.data(), nullptr, b(i), c_.data(), scales_.data(), map.map(), n_, k_}, blocks,
                           stream),
                    variant.name);
            }));
    }
  }

  /// After time_own, whose result it is compared with.
  void time_cublas(CublasLibrary& cublas) {
    const std::vector<Bf16> own = c_.values();
    const auto work = [&](int i) {
      return ExpertProducts{a_.data(), b(i), c_.data(), std::vector<int>(kExperts, rows_), n_, k_};
    };
    time_library("cublas_loop", own, [&](int i) { return cublas.multiply_in_loop(work(i), nullptr); });
    if (!cublas.has_grouped()) return;
    std::vector<CublasLibrary::Grouped> plans;
    for (int i = 0; i < kLaunches; ++i) plans.emplace_back(work(i));
    time_library("cublas_grouped", own,
                 [&](int i) { return cublas.multiply(plans[static_cast<std::size_t>(i)], nullptr); });
  }

private:
  bool first() const { return epilogue_ == Epilogue::swiglu; }
  std::size_t all_rows() const { return static_cast<std::size_t>(kExperts * rows_); }
  const Bf16* b(int launch) const { return b_.data() + static_cast<std::size_t>(launch) % copies_ * weights_; }

  void time_library(const char* name, const std::vector<Bf16>& own, const std::function<int(int)>& multiply) {
    int status = 0;
    const Times times = time_stream(nullptr, [&](cudaStream_t) {
      for (int i = 0; i < kLaunches && status == 0; ++i) status = multiply(i);
    });
    if (status != 0) {
      std::fprintf(stderr, "time_experts: %s refuses with status %d\n", name, status);
      return;
    }
    print(name, times);
    if (!first() && !agrees(own)) std::fprintf(stderr, "time_experts: %s computes something else\n", name);
  }

  /// Whether the start of c_ is what the second GEMM wrote, but for its combine weight of one half.
  bool agrees(const std::vector<Bf16>& own) const {
    const std::size_t compared = std::min(own.size(), std::size_t{1} << 20);
    const std::vector<Bf16> theirs = c_.values();
    std::vector<double> expected(compared);
    for (std::size_t i = 0; i < compared; ++i) expected[i] = 2.0 * float_from(own[i]);
    return reference::relative_errors(std::span{theirs}.first(compared), expected).worst <= 2 * kTolerance;
  }

  void print(const char* name, const Times& times) const {
    const auto weights = static_cast<double>(weights_);
    std::printf("{\"model\": \"%s\", \"gemm\": %d, \"kernel\": \"%s\", \"experts\": %d, \"rows_per_expert\": %d, ",
                shape_.model, first() ? 1 : 2, name, kExperts, rows_);
    std::printf("\"median_us\": %.2f, \"p10_us\": %.2f, \"p90_us\": %.2f, \"tflops\": %.1f, \"of_copy_rate\": %.3f}\n",
                times.median, times.p10, times.p90, 2e-6 * weights * rows_ / times.median,
                2 * weights / times.median / copied_);
  }

  const cudaDeviceProp& device_;
  const Shape& shape_;
  Epilogue epilogue_;
  int n_, k_, rows_;
  double copied_;
  std::size_t weights_, copies_;
  DeviceArray<Bf16> b_;
  DeviceArray<Bf16> a_, c_;
  DeviceArray<float> scales_;
};

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
  const auto cublas = CublasLibrary::load();
  std::printf("{\"gpu\": \"%s\", \"sms\": %d, \"copy_gb_per_s\": %.1f, \"cublas\": %s}\n", device.name,
              device.multiProcessorCount, copied * 1e-3, cublas ? "true" : "false");
  for (const int rows : {1, 8, 16, 64, 256, 1024, 2048})
    for (const Shape& shape : kShapes)
      for (const Epilogue epilogue : {Epilogue::swiglu, Epilogue::row_scaled}) {
        Problem problem{device, shape, epilogue, rows, copied};
        problem.time_own();
        if (cublas) problem.time_cublas(*cublas);
      }
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
