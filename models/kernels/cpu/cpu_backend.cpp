#include "models/kernels/cpu/cpu_backend.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <optional>

#include <fmt/format.h>
#include <omp.h>

#include "models/kernels/cpu/cpu_facts.hpp"
#include "models/kernels/cpu/expert_ffn.hpp"
#include "models/kernels/cpu/weight_pool.hpp"

namespace moesim {
namespace {

/// Caches that go by between two readings of a weight.
constexpr double kCachesBetween = 5;
constexpr Bytes kUnknownCache{64e6};
constexpr const char* kKernel = "onednn_matmul";

Seconds median(std::vector<Seconds> times) {
  const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
  std::nth_element(times.begin(), middle, times.end());
  return *middle;
}

template <class Work>
Seconds time_of(const Work& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return Seconds{std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count()};
}

/// The first half over the second; every thread copies its part.
void copy_half(std::span<std::byte> memory) {
  const std::size_t half = memory.size() / 2;
#pragma omp parallel
  {
    const auto threads = static_cast<std::size_t>(omp_get_num_threads());
    const auto thread = static_cast<std::size_t>(omp_get_thread_num());
    const std::size_t first = half * thread / threads, last = half * (thread + 1) / threads;
    std::memcpy(memory.data() + half + first, memory.data() + first, last - first);
  }
}

class CpuBackend final : public ExpertBackend {
public:
  CpuBackend() : cache_{last_level_cache()} {
    for (const KernelFormat format : {KernelFormat::f32, KernelFormat::bf16, KernelFormat::int8})
      if (ExpertFfn::runs(format)) formats_.push_back(format);
  }

  ProfileDevice device() const override {
    return {DeviceKind::cpu, processor_name(), omp_get_max_threads(), machine_memory(), cache_, {}, {}};
  }

  std::vector<LibraryVersion> libraries() const override { return {{"onednn", ExpertFfn::onednn_version()}}; }

  std::vector<std::string> notes() const override {
    std::vector<std::string> notes = cpu_notes();
    notes.push_back(fmt::format("{} OpenMP threads", omp_get_max_threads()));
    if (cache_ == Bytes{})
      notes.push_back(fmt::format("last-level cache unknown, taken as {:g} B", kUnknownCache.value()));
    if (!ExpertFfn::runs(KernelFormat::bf16))
      notes.emplace_back("bf16 does not run here: oneDNN multiplies it with AVX-512 alone");
    if (ExpertFfn::runs(KernelFormat::int8))
      notes.emplace_back("int8: activations are quantised row by row in every call, and that is in its times");
    return notes;
  }

  std::vector<KernelFormat> formats() const override { return formats_; }

  BytesPerSecond measure_copy() override {
    constexpr int kCalls = 7;
    pool_.resize(Bytes{4096}, ring());  // memory that the weights take later
    shape_.reset();
    std::vector<Seconds> times;
    for (int call = 0; call < kCalls; ++call) times.push_back(time_of([&] { copy_half(pool_.memory()); }));
    return Bytes{static_cast<double>(pool_.memory().size())} / median(times);
  }

  std::vector<FormatRate> measure_gemm(KernelFormat format) override {
    constexpr int kCalls = 3, kFirst = 512, kLargest = 8192;
    constexpr Seconds kLongEnough{0.03};
    for (int size = kFirst;; size *= 2) {
      const Seconds took = median(time_square_product(size, format, kCalls));
      if (took >= kLongEnough || size >= kLargest) return {{format, Flops{2.0 * size * size * size} / took, kKernel}};
    }
  }

  Bytes memory_needed(const KernelShape& shape, std::int64_t rows, std::int32_t most) const override {
    constexpr double kElement = 4;  // activations in f32, their source too
    return WeightPool::size(expert_weights(shape), ring()) +
           Bytes{kElement * (3.0 * static_cast<double>(rows) * shape.hidden + 3.0 * most * shape.intermediate)};
  }

  void prepare(const KernelShape& shape) override {
    if (shape_ && shape == *shape_) return;
    const bool same_weights = ffn_ && shape_ && shape.hidden == shape_->hidden &&
                              shape.intermediate == shape_->intermediate && shape.format == shape_->format;
    shape_.reset();
    if (!same_weights) {
      ffn_.emplace(shape.hidden, shape.intermediate, shape.format);
      pool_.resize(ffn_->stored_size(), ring());
    }
    shape_ = shape;
  }

  KernelRun run(std::span<const std::int32_t> rows_per_expert, int calls, Caches caches) override {
    load(rows_per_expert);
    std::vector<const std::byte*> slots(rows_per_expert.size());
    KernelRun result{kKernel, {}};
    for (int call = 0; call < calls; ++call) {
      if (caches == Caches::warm) pool_.rewind();
      for (std::size_t expert = 0; expert < slots.size(); ++expert)
        slots[expert] = rows_per_expert[expert] > 0 ? pool_.next() : nullptr;
      result.times.push_back(time_of([&] { ffn_->run(slots); }));
    }
    return result;
  }

private:
  Bytes cache() const { return cache_ == Bytes{} ? kUnknownCache : cache_; }
  Bytes ring() const { return (kCachesBetween + 1) * cache(); }

  void load(std::span<const std::int32_t> rows_per_expert) {
    std::size_t rows = 0;
    for (const std::int32_t count : rows_per_expert) rows += static_cast<std::size_t>(count);
    std::vector<float> x(rows * static_cast<std::size_t>(shape_->hidden));
    std::uint32_t state = 1;
    for (float& value : x) {
      state = 1664525u * state + 1013904223u;  // any numbers will do, but no zeros
      value = 0.01f + static_cast<float>(state >> 8) * 0x1p-25f;
    }
    ffn_->load(rows_per_expert, x, std::vector<float>(rows, 0.5f));
  }

  Bytes cache_;
  std::vector<KernelFormat> formats_;
  std::optional<KernelShape> shape_;
  std::optional<ExpertFfn> ffn_;
  WeightPool pool_;
};

}  // namespace

std::unique_ptr<ExpertBackend> make_cpu_backend() {
  return std::make_unique<CpuBackend>();
}

}  // namespace moesim
