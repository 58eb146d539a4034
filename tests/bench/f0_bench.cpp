// F0 on one skewed all-to-all from its matrix, next to the flows that judge it, and the aggregate sampler's link bytes.
//
// The counters: makespan_us is simulated; flows_over_f0 and flows_s are of one replay, not timed in the loop.

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <numeric>

#include <benchmark/benchmark.h>

#include "models/collectives/collectives.hpp"
#include "sim/engine/flow_replay.hpp"
#include "tests/traffic/clusters.hpp"

namespace {

using namespace moesim;
using namespace moesim::testing;

/// 128 tokens per GPU to 8 of 256 experts, popularity 1/i^0.8, 7,392 B per copy: what one decode layer dispatches.
DispatchTraffic skewed_dispatch(const Topology& topology) {
  const int gpus = topology.gpus(), experts = 256, top_k = 8;
  const int slots = (experts + gpus - 1) / gpus * gpus;  // experts - gpus of 320 leave slots empty
  Placement placement{.layers = 1, .experts = experts, .ranks = gpus, .slots_per_rank = slots / gpus, .expert_of = {}};
  for (int slot = 0; slot < slots; ++slot) placement.expert_of.push_back(slot < experts ? slot : slot - experts);

  Random order{1, Purpose::test, 1, 0};
  const auto rank_of = distinct(order, experts, experts);
  std::vector<double> key(experts);
  std::vector<int> chosen, source_of;
  for (int token = 0; token < 128 * gpus; ++token) {
    Random random{1, Purpose::test, 0, 0, static_cast<std::uint32_t>(token)};
    for (std::size_t e = 0; e < key.size(); ++e) key[e] = -std::log(random.uniform()) * std::pow(1 + rank_of[e], 0.8);
    for (int i = 0; i < top_k; ++i) {
      const auto first = std::min_element(key.begin(), key.end());
      chosen.push_back(static_cast<int>(first - key.begin()));
      *first = INFINITY;
    }
    source_of.push_back(token % gpus);
  }
  return count_dispatch(chosen, source_of, top_k, placement, 0, CopyRule::per_expert, ReplicaChoice::uniform_random,
                        payload(7168, NumberFormat::fp8), topology, 1);
}

ClusterSpec deployment(int gpus) {
  return cluster_of(gpus / 8, 8, RailPolicy::forward, SpreadPolicy::ecmp);
}

/// Bound of design: 0.3 ms at 256 GPUs. Up to 144 GPUs the flows are replayed once (at 256 it takes 15 s:
/// MOESIM_BENCH_FLOWS).
void fluid_from_matrix(benchmark::State& state) {
  const Topology topology{deployment(static_cast<int>(state.range(0)))};
  const auto traffic = skewed_dispatch(topology);
  const RouteLoads routes{topology, topology.gpus()};
  const FluidTimer timer{topology, {}};
  std::vector<double> bytes(topology.links().size());
  CollectiveTime result;
  for (auto _ : state) {
    std::fill(bytes.begin(), bytes.end(), 0.0);
    routes.add(traffic.direct, bytes);
    result = timer(bytes);
    benchmark::DoNotOptimize(result);
  }
  state.counters["makespan_us"] = result.time.value() * 1e6;
  if (state.range(0) > 144 && !std::getenv("MOESIM_BENCH_FLOWS")) return;
  const auto start = std::chrono::steady_clock::now();
  const auto replay = replay_flows(topology, flows_of(traffic, topology), result.time / 1000);
  state.counters["flows_s"] = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  state.counters["flows_over_f0"] = replay.makespan / result.time;
}
BENCHMARK(fluid_from_matrix)->Arg(64)->Arg(144)->Arg(256)->Unit(benchmark::kMicrosecond);

void exact_max_min(benchmark::State& state) {
  const Topology topology{deployment(static_cast<int>(state.range(0)))};
  const auto flows = flows_of(skewed_dispatch(topology), topology);
  const auto bandwidth = achieved_bandwidths(topology, {});
  for (auto _ : state) benchmark::DoNotOptimize(max_min_finish(flows, bandwidth));
}
BENCHMARK(exact_max_min)->Arg(16)->Arg(64)->Unit(benchmark::kMillisecond);

std::vector<double> expert_shares(int count) {
  Random random{1, Purpose::test, 2, 0};
  std::vector<double> bytes;
  for (int i = 0; i < count; ++i) bytes.push_back(1e6 * random.gamma(0.5));
  return bytes;
}

std::vector<double> even_sources(int ranks) {
  return std::vector<double>(static_cast<std::size_t>(ranks), 1.0 / ranks);
}

void expected_link_bytes(benchmark::State& state, CopyRule rule) {
  const Topology topology{deployment(static_cast<int>(state.range(0)))};
  const ExpectedLinkBytes map{topology, even_sources(topology.gpus()), rule};
  const auto into_rank = expert_shares(topology.gpus());
  const auto into_node = rule == CopyRule::per_node ? expert_shares(topology.nodes()) : std::vector<double>{};
  std::vector<double> bytes(topology.links().size());
  for (auto _ : state) {
    map.dispatch(into_rank, into_node, bytes);
    benchmark::DoNotOptimize(bytes.data());
    benchmark::ClobberMemory();
  }
  state.counters["links"] = static_cast<double>(topology.links().size());
  state.counters["terms"] = static_cast<double>(map.terms());
}
BENCHMARK_CAPTURE(expected_link_bytes, per_rank, CopyRule::per_rank)
    ->Arg(144)
    ->Arg(320)
    ->Arg(1024)
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(expected_link_bytes, per_node, CopyRule::per_node)
    ->Arg(144)
    ->Arg(320)
    ->Arg(1024)
    ->Unit(benchmark::kMicrosecond);

void expected_link_bytes_set_up(benchmark::State& state) {
  const Topology topology{deployment(static_cast<int>(state.range(0)))};
  for (auto _ : state)
    benchmark::DoNotOptimize(ExpectedLinkBytes{topology, even_sources(topology.gpus()), CopyRule::per_rank});
}
BENCHMARK(expected_link_bytes_set_up)->Arg(320)->Arg(1024)->Unit(benchmark::kMillisecond);

void fluid_timer(benchmark::State& state) {
  const Topology topology{deployment(static_cast<int>(state.range(0)))};
  const FluidTimer timer{topology, {}};
  const auto bytes = expert_shares(static_cast<int>(topology.links().size()));
  for (auto _ : state) benchmark::DoNotOptimize(timer(bytes));
}
BENCHMARK(fluid_timer)->Arg(144)->Arg(320)->Unit(benchmark::kMicrosecond);

}  // namespace

BENCHMARK_MAIN();
