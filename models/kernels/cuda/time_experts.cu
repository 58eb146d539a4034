// Times the GEMMs of the expert FFN at the shapes of four models beside NVIDIA's libraries: what the kernels are worth
// on a GPU, before anything is made of them.
//
//   cmake --preset cuda && cmake --build build/cuda --target time_experts
//   build/cuda/models/kernels/cuda/time_experts > times.jsonl
//   build/cuda/models/kernels/cuda/time_experts --table times.jsonl > times.md
//
// One JSON object per line, the ceilings of this device first: its copy rate and one 8192^3 product. Every kernel is
// verified before it is timed. Weights are cold (more than five L2 caches go by). cuBLAS and cublasLt, where they can
// be loaded, compute the same products without SwiGLU and combine weights, in a loop over experts and grouped. Exits 77
// without a device, 1 when a kernel is wrong.

#include <cmath>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <functional>
#include <iostream>
#include <numeric>

#include "models/kernels/cuda/comparators.hpp"
#include "models/kernels/cuda/comparison_table.hpp"
#include "models/kernels/cuda/cublas_lt_library.hpp"
#include "models/kernels/cuda/device_memory.cuh"
#include "models/kernels/cuda/fill_words.hpp"
#include "models/kernels/cuda/first_device.hpp"
#include "models/kernels/cuda/reference.hpp"

namespace {

using namespace moesim::cuda;

constexpr double kTolerance = 4e-3;
constexpr int kExperts = 8;
constexpr double kSecondsPerKernel = 0.06;
constexpr int kLeastSamples = 3, kMostSamples = 31;

struct Shape {
  const char* model;
  int h, i;
  bool mxfp4 = false;  ///< stored so, with biases: what the kernels of that format are for
};
constexpr Shape kShapes[] = {{"mixtral-8x7b", 4096, 14336},
                             {"qwen3-235b", 4096, 1536},
                             {"deepseek-v3", 7168, 2048},
                             {"gpt-oss-120b", 2880, 2880, true}};

/// Rows of each expert. Skewed: expert e has popularity 1 / (e + 1), as Zipf's law with exponent 1.
std::vector<int> histogram(int mean, bool skewed) {
  if (!skewed) return std::vector<int>(kExperts, mean);
  double all = 0;
  for (int e = 0; e < kExperts; ++e) all += 1.0 / (e + 1);
  std::vector<int> rows;
  for (int e = 0; e < kExperts; ++e) rows.push_back(static_cast<int>(std::lround(mean * kExperts / (e + 1) / all)));
  return rows;
}

struct Tools {
  cudaDeviceProp device;
  DevicePool pool;
  CallTimer timer;
  std::unique_ptr<CublasLibrary> cublas;
  std::unique_ptr<CublasLtLibrary> cublas_lt;
};

/// One GEMM of one model on one histogram, and what to time it with.
class Problem {
public:
  Problem(Tools& tools, const Shape& shape, int gemm, int mean, bool skewed)
      : tools_{tools},
        shape_{shape},
        gemm_{gemm},
        skewed_{skewed},
        mean_{mean},
        n_{gemm == 1 ? 2 * shape.i : shape.h},
        k_{gemm == 1 ? shape.h : shape.i},
        rows_{histogram(mean, skewed)},
        all_rows_{std::accumulate(rows_.begin(), rows_.end(), std::size_t{0})},
        a_{all_rows_ * static_cast<std::size_t>(k_)},
        c_{all_rows_ * static_cast<std::size_t>(n_)},
        scales_{std::vector<float>(all_rows_, 0.5f)} {
    check(fill_words(a_.data(), a_.size() * sizeof(Bf16), {}, 2, nullptr), "inputs");
  }

  void time_all() {
    for (const auto& kernel : gemm_kernels())
      if (kernel->gemm() == gemm_ && (kernel->format() != "mxfp4" || shape_.mxfp4) &&
          kernel->fits(n_, k_, *std::max_element(rows_.begin(), rows_.end()), tools_.device))
        time_own(*kernel);
    const std::vector<Bf16> own = own_bf16();
    const ExpertProducts products{a_.data(), nullptr, c_.data(), rows_, n_, k_};
    const auto with_weights = [&](int call) {
      ExpertProducts at = products;
      at.b = reinterpret_cast<const Bf16*>(bf16_weights().at(call));
      return at;
    };
    if (tools_.cublas_lt)
      time_library("cublaslt_loop", own, [&](int call, cudaStream_t stream) {
        return tools_.cublas_lt->multiply_in_loop(with_weights(call), stream);
      });
    if (!tools_.cublas) return;
    time_library("cublas_loop", own, [&](int call, cudaStream_t stream) {
      return tools_.cublas->multiply_in_loop(with_weights(call), stream);
    });
    if (!tools_.cublas->has_grouped()) return;
    std::vector<CublasLibrary::Grouped> plans;
    for (int set = 0; set < bf16_weights().sets; ++set) plans.emplace_back(with_weights(set));
    time_library("cublas_grouped", own, [&](int call, cudaStream_t stream) {
      return tools_.cublas->multiply(plans[static_cast<std::size_t>(call) % plans.size()], stream);
    });
  }

private:
  MemoryRing ring(std::size_t expert, WordPattern words) const {
    const auto active = static_cast<std::size_t>(kExperts - std::count(rows_.begin(), rows_.end(), 0));
    return tools_.pool.ring(kExperts * expert, active * expert, words);
  }
  MemoryRing bf16_weights() const {
    return ring(sizeof(Bf16) * static_cast<std::size_t>(n_) * static_cast<std::size_t>(k_), {});
  }
  GemmProblem problem(const MemoryRing& weights) const {
    return {tools_.device, rows_, n_, k_, a_.data(), const_cast<Bf16*>(c_.data()), scales_.data(), weights};
  }

  void time_own(const GemmKernel& kernel) {
    const std::size_t expert = kernel.weight_bytes(n_, k_);
    const MemoryRing weights = ring(expert, kernel.words());
    const auto work = kernel.make(problem(weights));
    time(kernel.name().c_str(), kernel.format().c_str(), expert, *work, weights.sets);
  }

  void time_library(const char* name, const std::vector<Bf16>& own, const std::function<int(int, cudaStream_t)>& call) {
    LibraryWork work{name, call};
    try {
      time(name, "bf16", sizeof(Bf16) * static_cast<std::size_t>(n_) * static_cast<std::size_t>(k_), work,
           bf16_weights().sets);
    } catch (const std::runtime_error& refusal) {
      cudaGetLastError();
      std::fprintf(stderr, "time_experts: %s\n", refusal.what());
      return;
    }
    if (gemm_ == 2 && !own.empty() && !agrees(own, work))
      std::fprintf(stderr, "time_experts: %s computes something else\n", name);
  }

  /// What the first of our bf16 kernels gives on the first set of weights, for the second GEMM.
  std::vector<Bf16> own_bf16() {
    if (gemm_ == 1) return {};
    for (const auto& kernel : gemm_kernels()) {
      if (kernel->gemm() != 2 || kernel->format() != "bf16" || !kernel->fits(n_, k_, 1 << 20, tools_.device)) continue;
      kernel->make(problem(bf16_weights()))->launch(0, nullptr);
      return c_.values();
    }
    return {};
  }

  /// Whether a library's product on the same weights is the same, but for our combine weight of one half.
  bool agrees(const std::vector<Bf16>& own, Work& work) const {
    work.launch(0, nullptr);
    const std::size_t compared = std::min(own.size(), std::size_t{1} << 20);
    const std::vector<Bf16> theirs = c_.values();
    std::vector<double> expected(compared);
    for (std::size_t i = 0; i < compared; ++i) expected[i] = 2.0 * float_from(own[i]);
    return reference::relative_errors(std::span{theirs}.first(compared), expected).worst <= 2 * kTolerance;
  }

  void time(const char* name, const char* format, std::size_t expert_bytes, Work& work, int sets) {
    CallTimer& timer = tools_.timer;
    timer.start(work, sets);
    const double first = timer.times(1).front();
    const double samples = kSecondsPerKernel / (first * timer.calls_per_sample());
    std::vector<double> times =
        timer.times(static_cast<int>(std::clamp(samples, double{kLeastSamples}, double{kMostSamples})));
    std::sort(times.begin(), times.end());
    const std::size_t last = times.size() - 1;
    const auto active = static_cast<double>(kExperts - std::count(rows_.begin(), rows_.end(), 0));
    const double flops = 2.0 * static_cast<double>(all_rows_) * n_ * k_;
    std::printf(
        "{\"model\": \"%s\", \"gemm\": %d, \"rows_per_expert\": %d, \"skewed\": %s, \"kernel\": \"%s\", "
        "\"format\": \"%s\", \"median_us\": %.3f, \"p10_us\": %.3f, \"p90_us\": %.3f, \"samples\": %zu, "
        "\"weight_bytes\": %.0f, \"flop\": %.0f}\n",
        shape_.model, gemm_, mean_, skewed_ ? "true" : "false", name, format, 1e6 * times[last / 2],
        1e6 * times[last / 10], 1e6 * times[last - last / 10], times.size(), active * static_cast<double>(expert_bytes),
        flops);
    std::fflush(stdout);
  }

  Tools& tools_;
  const Shape& shape_;
  int gemm_;
  bool skewed_;
  int mean_, n_, k_;
  std::vector<int> rows_;
  std::size_t all_rows_;
  DeviceArray<Bf16> a_, c_;
  DeviceArray<float> scales_;
};

bool verify_all(const cudaDeviceProp& device, std::uint64_t seed) {
  bool all_right = true;
  for (const auto& kernel : gemm_kernels()) {
    constexpr int kAny = 1 << 14;  // what every tile divides: whether the device has the kernel's shared memory
    if (!kernel->fits(kAny * 3, kAny, 1, device)) continue;
    const double error = kernel->verify(device, seed);
    const bool right = error <= kernel->tolerance();
    all_right &= right;
    std::printf(
        "{\"verified\": \"%s\", \"format\": \"%s\", \"gemm\": %d, \"right\": %s, \"seed\": %llu, "
        "\"relative_error\": ",
        kernel->name().c_str(), kernel->format().c_str(), kernel->gemm(), right ? "true" : "false",
        static_cast<unsigned long long>(seed));
    if (std::isfinite(error))
      std::printf("%.2e}\n", error);
    else
      std::printf("null}\n");  // not a number, or rows written that are not its own
  }
  return all_right;
}

int run() {
  const cudaDeviceProp device = first_device();
  Tools tools{device, DevicePool{device}, {}, CublasLibrary::load(), CublasLtLibrary::load()};
  if (!verify_all(device, static_cast<std::uint64_t>(std::time(nullptr)))) {
    std::fprintf(stderr, "time_experts: a kernel is wrong on this device; nothing was timed\n");
    return 1;
  }
  std::printf("{\"gpu\": \"%s\", \"sms\": %d, \"copy_bytes_per_s\": %.4e", device.name, device.multiProcessorCount,
              copy_rate(tools.pool, tools.timer));
  const char* before = ", \"products\": [";
  for (const ProductRate& rate : product_rates("bf16", device, tools.pool, tools.timer)) {
    std::printf("%s{\"kernel\": \"%s\", \"flop_per_s\": %.4e}", before, rate.kernel.c_str(), rate.rate);
    before = ", ";
  }
  std::printf("]}\n");
  for (const int rows : {8, 1024, 1, 64, 16, 256, 2048})  // what the targets speak of first, should time run out
    for (const bool skewed : {false, true})
      for (const Shape& shape : kShapes)
        for (const int gemm : {1, 2})
          if (rows > 1 || !skewed) Problem{tools, shape, gemm, rows, skewed}.time_all();
  return 0;
}

int print_table(const char* file) {
  std::ifstream in{file};
  if (!in) {
    std::fprintf(stderr, "time_experts: cannot read %s\n", file);
    return 2;
  }
  std::cout << comparison_table(in);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc == 3 && std::string{argv[1]} == "--table") return print_table(argv[2]);
    if (argc == 1) return run();
    std::fprintf(stderr, "time_experts: expected no arguments, or --table FILE\n");
    return 2;
  } catch (const NoDevice& missing) {
    std::fprintf(stderr, "time_experts: %s\n", missing.what());
    return kNoDeviceStatus;
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "time_experts: out of memory\n");
    return 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "time_experts: %s\n", error.what());
    return 1;
  }
}
