#include "models/kernels/cuda/ffn_bench.hpp"

#include <algorithm>
#include <bit>
#include <numeric>

#include "models/kernels/cuda/fill_words.hpp"

namespace moesim::cuda {
namespace {

class BothGemms final : public Work {
public:
  BothGemms(std::unique_ptr<Work> first, std::unique_ptr<Work> second)
      : first_{std::move(first)}, second_{std::move(second)} {}
  void launch(int call, cudaStream_t stream) override {
    first_->launch(call, stream);
    second_->launch(call, stream);
  }

private:
  std::unique_ptr<Work> first_, second_;
};

int weight_rows(const FfnShape& shape, int gemm) {
  return gemm == 1 ? 2 * shape.intermediate : shape.hidden;
}
int depth(const FfnShape& shape, int gemm) {
  return gemm == 1 ? shape.hidden : shape.intermediate;
}

/// The first kernel of a format, which says how its weights are stored.
const GemmKernel& any_kernel(const std::string& format, int gemm) {
  for (const auto& kernel : gemm_kernels())
    if (kernel->format() == format && kernel->gemm() == gemm) return *kernel;
  throw NoKernel{"no kernel of GEMM " + std::to_string(gemm) + " in " + format};
}

/// An array of at least `size` elements; the old one goes first, so that two need not fit.
template <class T>
void grow(std::unique_ptr<DeviceArray<T>>& array, std::size_t size) {
  if (array && array->size() >= size) return;
  array.reset();
  array = std::make_unique<DeviceArray<T>>(size + size % 2);
  constexpr WordPattern kHalf{0, 0x3F000000u};  // 0.5 in fp32
  const WordPattern words = sizeof(T) == sizeof(float) ? kHalf : WordPattern{};
  check(fill_words(array->data(), array->size() * sizeof(T), words, 2, nullptr), "activations");
}

}  // namespace

std::vector<std::string> FfnBench::formats() const {
  std::vector<std::string> found;
  for (const auto& first : gemm_kernels()) {
    const bool has_second = std::any_of(gemm_kernels().begin(), gemm_kernels().end(), [&](const auto& second) {
      return second->gemm() == 2 && second->format() == first->format();
    });
    if (first->gemm() == 1 && has_second && std::find(found.begin(), found.end(), first->format()) == found.end())
      found.push_back(first->format());
  }
  return found;
}

/// The largest of the format's kernels that take the shape, so that a ring serves all of them.
std::size_t FfnBench::weight_bytes(const FfnShape& shape, int gemm) const {
  const int n = weight_rows(shape, gemm), k = depth(shape, gemm);
  std::size_t most = 0;
  for (const auto& kernel : gemm_kernels())
    if (kernel->format() == shape.format && kernel->gemm() == gemm && kernel->fits(n, k, 1, device_))
      most = std::max(most, kernel->weight_bytes(n, k));
  if (most == 0)
    throw NoKernel{"no " + shape.format + " kernel takes GEMM " + std::to_string(gemm) + " of " +
                   std::to_string(shape.hidden) + " x " + std::to_string(shape.intermediate)};
  return most;
}

void FfnBench::reserve(const FfnShape& shape, std::size_t rows) {
  grow(buffers_.x, rows * static_cast<std::size_t>(shape.hidden));
  grow(buffers_.middle, rows * static_cast<std::size_t>(shape.intermediate));
  grow(buffers_.y, rows * static_cast<std::size_t>(shape.hidden));
  grow(buffers_.scales, rows);
  check(cudaDeviceSynchronize(), "activations");
}

GemmProblem FfnBench::problem(const FfnShape& shape, const std::vector<int>& rows, int gemm, bool cold) {
  const auto experts = static_cast<std::size_t>(shape.experts);
  const auto active = experts - static_cast<std::size_t>(std::count(rows.begin(), rows.end(), 0));
  const std::size_t first = aligned(experts * weight_bytes(shape, 1)),
                    per_expert = weight_bytes(shape, 1) + weight_bytes(shape, 2);
  MemoryRing weights = pool_.ring(first + experts * weight_bytes(shape, 2), cold ? active * per_expert : pool_.bytes(),
                                  any_kernel(shape.format, gemm).words());
  if (!cold) weights.sets = 1;
  if (gemm == 2) weights.base += first;
  const Bf16* a = gemm == 1 ? buffers_.x->data() : buffers_.middle->data();
  Bf16* c = gemm == 1 ? buffers_.middle->data() : buffers_.y->data();
  return {device_, rows, weight_rows(shape, gemm), depth(shape, gemm), a, c, buffers_.scales->data(), weights};
}

const std::vector<const GemmKernel*>& FfnBench::ranked(const FfnShape& shape, int gemm, int mean_rows) {
  const ChoiceKey key{shape, gemm, mean_rows};
  if (const auto found = ranked_.find(key); found != ranked_.end()) return found->second;
  const std::vector<int> rows(static_cast<std::size_t>(shape.experts), mean_rows);
  reserve(shape, rows.size() * static_cast<std::size_t>(mean_rows));
  const GemmProblem work = problem(shape, rows, gemm, true);
  std::multimap<double, const GemmKernel*> by_time;
  for (const auto& kernel : gemm_kernels()) {
    if (kernel->format() != shape.format || kernel->gemm() != gemm) continue;
    if (!kernel->fits(work.n, work.k, mean_rows, device_)) continue;
    const auto made = kernel->make(work);
    by_time.emplace(timer_.quick(*made, work.weights.sets), kernel.get());
  }
  std::vector<const GemmKernel*>& ranking = ranked_[key];
  for (const auto& [time, kernel] : by_time) ranking.push_back(kernel);
  return ranking;
}

const GemmKernel& FfnBench::chosen(const FfnShape& shape, int gemm, int mean_rows, int most_rows) {
  for (const GemmKernel* kernel : ranked(shape, gemm, mean_rows))
    if (kernel->fits(weight_rows(shape, gemm), depth(shape, gemm), most_rows, device_)) return *kernel;
  throw NoKernel{"no " + shape.format + " kernel takes " + std::to_string(most_rows) + " rows in GEMM " +
                 std::to_string(gemm) + " of " + std::to_string(shape.hidden) + " x " +
                 std::to_string(shape.intermediate)};
}

FfnWork FfnBench::make(const FfnShape& shape, const std::vector<int>& rows, bool cold) {
  const std::size_t total = std::accumulate(rows.begin(), rows.end(), std::size_t{0});
  const auto mean = static_cast<unsigned>((total + rows.size() - 1) / rows.size());
  const auto mean_rows = static_cast<int>(std::bit_ceil(std::max(1u, mean)));
  const int most_rows = *std::max_element(rows.begin(), rows.end());
  const GemmKernel& first = chosen(shape, 1, mean_rows, most_rows);
  const GemmKernel& second = chosen(shape, 2, mean_rows, most_rows);
  reserve(shape, total);
  const GemmProblem one = problem(shape, rows, 1, cold), two = problem(shape, rows, 2, cold);
  return {first.name() + "+" + second.name(), std::make_unique<BothGemms>(first.make(one), second.make(two)),
          one.weights.sets};
}

}  // namespace moesim::cuda
