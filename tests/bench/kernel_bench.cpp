// Cost of one kernel-time lookup: the hot loop asks for every rank, layer and step (design.md section 5: 100 ns each).

#include <benchmark/benchmark.h>

#include "models/kernels/kernel_times.hpp"
#include "models/units/random.hpp"

namespace {

using namespace moesim;

constexpr ExpertShape kDeepSeekV3{.hidden = 7168, .expert_hidden = 2048, .format = NumberFormat::fp8_block};

/// DeepSeek-V3 decode rows of many ranks, so that no two calls see the same counts: 0 to 2 x mean, slots x 1024 calls.
std::vector<std::int32_t> many_rows(std::size_t slots, std::uint32_t mean) {
  Random random{1, Purpose::test, 0, 0};
  std::vector<std::int32_t> rows(slots * 1024);
  for (auto& count : rows) count = static_cast<std::int32_t>(random.below(2 * mean + 1));
  return rows;
}

void experts_lookup(benchmark::State& state) {
  const auto slots = static_cast<std::size_t>(state.range(0));
  const auto rows = many_rows(slots, static_cast<std::uint32_t>(state.range(1)));
  const auto experts = make_roofline(find_gpu("h100-sxm", "bench"))->experts(kDeepSeekV3);
  std::size_t call = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize((*experts)(std::span{rows}.subspan((call % 1024) * slots, slots)));
    ++call;
  }
}
BENCHMARK(experts_lookup)->ArgNames({"slots", "rows"})->Args({2, 64})->Args({9, 64})->Args({36, 32})->Args({9, 4096});

void gemm_lookup(benchmark::State& state) {
  const auto kernels = make_roofline(find_gpu("h100-sxm", "bench"));
  Op op{"qkv", OpClass::attention_projection, Flops{2.0 * 128 * 7168 * 1536}, Bytes{2.0 * 7168 * 1536},
        Gemm{128, 1536, 7168}};
  for (auto _ : state) benchmark::DoNotOptimize(kernels->time(op));
}
BENCHMARK(gemm_lookup);

void prepare_experts(benchmark::State& state) {
  const auto kernels = make_roofline(find_gpu("h100-sxm", "bench"));
  for (auto _ : state) benchmark::DoNotOptimize(kernels->experts(kDeepSeekV3));
}
BENCHMARK(prepare_experts);

}  // namespace

BENCHMARK_MAIN();
