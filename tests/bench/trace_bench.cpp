// A trace of 100,000 slices and counter values: collected, written as JSON, compressed. Bound: 1 s (issue C).

#include <benchmark/benchmark.h>

#include "models/hardware/cluster.hpp"
#include "models/units/gzip.hpp"
#include "plots/timeline.hpp"

namespace {

using namespace moesim;

constexpr std::int64_t kEvents = 100'000;

/// Layers of attention and a dispatch on eight GPUs until the cap is reached.
Trace trace(const Topology& topology, std::span<const double> bytes) {
  const Placement placement{};
  Timeline timeline{
      {.window = TimelineWindow{Seconds{0}, Seconds{1e3}}, .gpus = {}, .cap = static_cast<std::size_t>(kEvents)},
      RunShape{.topology = topology, .placement = placement, .ranks = 8}};
  const std::vector<double> busy{9e-6, 8e-6, 7e-6, 6e-6, 5e-6, 4e-6, 3e-6, 1e-5};
  double now = 0;
  for (int layer = 0; layer < 3000; ++layer) {
    timeline(PhaseFinished{Seconds{now += 1e-5}, Seconds{1e-5}, Cause::attention, layer, 7, busy});
    timeline(BytesMoved{Seconds{now += 1e-5}, Cause::dispatch, layer, Seconds{1e-5}, bytes, 0, Seconds{1e-5}});
    timeline(PhaseFinished{Seconds{now}, Seconds{1e-5}, Cause::dispatch, layer, -1, {}});
  }
  timeline(StepFinished{Seconds{now}, Seconds{now}, 0, 1});
  return timeline.trace({});
}

void write(benchmark::State& state) {
  ClusterSpec cluster;
  cluster.gpu.name = "test";
  cluster.gpu.nvlink = BytesPerSecond{450e9};
  cluster.gpus_per_node = 8;
  const Topology topology{cluster};
  const std::vector<double> bytes(topology.links().size(), 1e6);
  for (auto _ : state) {
    const Trace made = trace(topology, bytes);
    if (made.events != kEvents) state.SkipWithError("not the events that the benchmark is about");
    const std::string packed = gzipped(made.json);
    state.counters["megabytes"] = static_cast<double>(made.json.size()) / 1e6;
    state.counters["packed_megabytes"] = static_cast<double>(packed.size()) / 1e6;
    benchmark::DoNotOptimize(packed.data());
  }
}
BENCHMARK(write)->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
