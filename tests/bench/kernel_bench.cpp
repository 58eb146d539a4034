// Cost of one kernel-time lookup: the hot loop asks for every rank, layer and step (design.md section 5: 100 ns each);
// and of loading a profile, once per run (bound: 50 ms).

#include <benchmark/benchmark.h>

#include "models/collectives/measured_curves.hpp"
#include "models/kernels/kernel_times.hpp"
#include "models/kernels/published/measured_times.hpp"
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

/// A layer of DeepSeek-V3 as a profile times it, on a rank of EP256 / slots.
ExpertShape deepseek_v3(std::size_t slots) {
  ExpertShape shape = kDeepSeekV3;
  shape.slots = static_cast<int>(slots);
  shape.experts = 256;
  shape.top_k = 8;
  return shape;
}

std::unique_ptr<KernelTimes> measured_times(const char* engine) {
  return make_measured_times(load_kernel_model("h100-sxm"), find_gpu("h100-sxm", "bench"), {engine, false});
}

/// What the step loop asks of a profile: nothing else of it is called per layer.
void profile_experts_lookup(benchmark::State& state) {
  const auto slots = static_cast<std::size_t>(state.range(0));
  const auto rows = many_rows(slots, static_cast<std::uint32_t>(state.range(1)));
  const auto experts = measured_times("trtllm")->experts(deepseek_v3(slots));
  std::size_t call = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize((*experts)(std::span{rows}.subspan((call % 1024) * slots, slots)));
    ++call;
  }
}
BENCHMARK(profile_experts_lookup)
    ->ArgNames({"slots", "rows"})
    ->Args({2, 64})
    ->Args({9, 64})
    ->Args({36, 32})
    ->Args({9, 4096});

void profile_gemm_lookup(benchmark::State& state) {
  const auto kernels = measured_times("trtllm");
  Op op{"qkv", OpClass::attention_projection, Flops{2.0 * 128 * 7168 * 1536}, Bytes{2.0 * 7168 * 1536},
        Gemm{128, 1536, 7168}};
  for (auto _ : state) benchmark::DoNotOptimize(kernels->time(op));
}
BENCHMARK(profile_gemm_lookup);

void profile_collective_lookup(benchmark::State& state) {
  ClusterSpec cluster;
  cluster.gpu = find_gpu("h100-sxm", "bench");
  const CollectiveCurves curves{load_kernel_model("h100-sxm"), "trtllm"};
  const std::vector<int> group{0, 1, 2, 3, 4, 5, 6, 7};
  const MeasuredCollective* sum = curves.find(KernelOperation::all_reduce, Topology{cluster}, group);
  if (!sum) return state.SkipWithError("no curve of 8 ranks");
  double bytes = 1000;
  for (auto _ : state) {
    benchmark::DoNotOptimize(sum->time(Bytes{bytes}));
    bytes = bytes < 1e9 ? bytes * 1.01 : 1000;
  }
}
BENCHMARK(profile_collective_lookup);

void load_profile_by_name(benchmark::State& state, const char* name) {
  for (auto _ : state) benchmark::DoNotOptimize(load_kernel_model(name));
}
BENCHMARK_CAPTURE(load_profile_by_name, h100, "h100-sxm")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(load_profile_by_name, b200, "b200-sxm")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(load_profile_by_name, h200_transferred, "h200-sxm")->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
