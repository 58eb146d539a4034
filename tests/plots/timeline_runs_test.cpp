// The timeline of whole runs: every way in which the engine makes streams and groups share time.

#include <cmath>

#include "plots/timeline.hpp"
#include "sim/engine/forked.hpp"
#include "sim/metrics/summary_json.hpp"
#include "sim/simulate.hpp"
#include "tests/catch_compat.hpp"
#include "tests/plots/trace_reading.hpp"

using namespace moesim;
using moesim::testing::ReadSlice;
using moesim::testing::ReadTrace;

namespace {

constexpr const char* kMixtral =
    "model: mixtral-8x7b\nworkload: {phase: decode, tokens_per_gpu: 24, context: 512, steps: 4, dp_imbalance: 1.3}\n";

/// Layouts that time their ranks and streams in different ways.
struct Case {
  const char* name;
  std::string scenario;
};

std::vector<Case> cases() {
  const std::string mixtral = kMixtral;
  return {
      {"TP",
       "model: mixtral-8x7b\nworkload: {phase: decode, tokens_per_gpu: 24, context: 512, steps: 4}\n"
       "cluster: {gpu: h100-sxm}\nlayout: {attention: {tp: 8, dp: 1}, experts: {tp: 8, ep: 1}}\n"},
      {"EP over two nodes", mixtral + "cluster: {gpu: h200-sxm, nodes: 2, fabric: {nic: 400 Gb/s}}\n"
                                      "layout: {attention: {dp: 16}, experts: {ep: 8, tp: 2}}\n"},
      {"TP attention and EP",
       mixtral + "cluster: {gpu: h100-sxm}\nlayout: {attention: {tp: 2, dp: 4}, experts: {ep: 8}}\n"},
      {"offload", mixtral + "cluster: {gpu: h100-sxm}\nlayout: {attention: {dp: 8}, experts: {ep: 8}}\n"
                            "offload: {to: host, resident: 0, bandwidth: 64 GB/s}\n"},
      {"pipeline", mixtral + "cluster: {gpu: h100-sxm, nodes: 2}\nlayout: {pp: 2, microbatches: 3}\n"},
      {"pools", mixtral + "cluster: {gpu: h200-sxm}\n"
                          "layout: {attention: {dp: 4}, experts: {ep: 4, apart: true}, microbatches: 3}\n"},
      {"two batches, decode",
       "model: deepseek-v2-lite\ncluster: {gpu: h100-sxm}\nlayout: {attention: {dp: 8}, experts: {ep: 8}}\n"
       "overlap: {two_batch: true}\nworkload: {phase: decode, tokens_per_gpu: 64, context: 2048, steps: 4, "
       "dp_imbalance: 1.3}\n"},
      {"two batches, prefill",
       "model: deepseek-v2-lite\ncluster: {gpu: h100-sxm}\nlayout: {attention: {dp: 8}, experts: {ep: 8}}\n"
       "overlap: {two_batch: true}\nworkload: {phase: prefill, tokens_per_gpu: 2048, context: 2048, steps: 4}\n"},
      {"shared experts beside the dispatch",
       "model: deepseek-v2-lite\ncluster: {gpu: h100-sxm}\nlayout: {attention: {dp: 8}, experts: {ep: 8}}\n"
       "overlap: {shared_experts: true}\nworkload: {phase: decode, tokens_per_gpu: 64, context: 2048, steps: 4}\n"}};
}

/// Seconds of a GPU by cause, waiting for the ranks of a group or for a group last.
std::vector<double> sums_of(const ReadTrace& trace, const std::string& gpu) {
  std::vector<double> sums(kCauses + 1, 0.0);
  const auto cause_of = [](const ReadSlice& slice) {
    for (int cause = 0; cause < kCauses; ++cause)
      if (slice.args.at("cause") == name_of(static_cast<Cause>(cause))) return static_cast<std::size_t>(cause);
    return static_cast<std::size_t>(kCauses);
  };
  for (const ReadSlice& slice : trace.slices) {
    if (slice.track.rfind(gpu + " ", 0) != 0) continue;
    const double seconds = static_cast<double>(slice.end - slice.begin) * 1e-9;
    const bool waits_for_collective = slice.kind == "wait" && slice.args["waits_for"] == slice.args["cause"];
    if (slice.kind == "work" || slice.kind == "exchange" || waits_for_collective)
      sums[cause_of(slice)] += seconds;
    else if (slice.kind == "wait")
      sums[kCauses] += seconds;
  }
  return sums;
}

/// The largest difference between the trace's sums and the summary's, in seconds.
double largest_difference(const ReadTrace& trace, const Summary& summary) {
  double largest = 0;
  for (const GpuUse& gpu : summary.gpu_table) {
    const auto sums = sums_of(trace, gpu.name);
    for (std::size_t cause = 0; cause < kCauses; ++cause)
      largest = std::max(largest, std::abs(sums[cause] - gpu.busy[cause].value()));
    largest = std::max(largest, std::abs(sums[kCauses] - gpu.wait.value()));
  }
  return largest;
}

struct Traced {
  double overlaps, largest_counter, difference, step_seconds, slices, steps, dropped, notes, second_lanes;
};

Traced traced(const std::string& text, const std::vector<Override>& overrides = {}) {
  const auto numbers = run_forked("trace", [&] {
    const Scenario scenario = parse_scenario(text, "traced.yaml", ".", overrides);
    std::optional<Timeline> timeline;
    const Summary summary = simulate(scenario, 0, [&](const RunShape& shape) {
      TimelineRequest request{.window = TimelineWindow{Seconds{0}, Seconds{1e3}}, .gpus = {}, .cap = 10'000'000};
      for (int gpu = 0; gpu < shape.gpus(); ++gpu) request.gpus.push_back(gpu);
      timeline.emplace(request, shape);
      return [&](const Event& event) { (*timeline)(event); };
    });
    const ReadTrace trace{timeline->trace({}).json};
    double steps = 0, lanes = 0;
    for (const ReadSlice& slice : trace.slices) steps += slice.kind == "step" ? 1 : 0;
    for (const std::string& track : trace.tracks) lanes += track.find("communication 2") != std::string::npos ? 1 : 0;
    return std::vector<double>{double(trace.overlaps().size()),
                               trace.largest_counter(),
                               largest_difference(trace, summary),
                               summary.step.mean.value(),
                               double(trace.slices.size()),
                               steps,
                               trace.other["dropped_events"].get<double>(),
                               double(trace.other["notes"].size()),
                               lanes};
  });
  return {numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5], numbers[6], numbers[7], numbers[8]};
}

}  // namespace

TEST_CASE("Slices of a whole run nest and hold as much of each cause as the metrics count", "[timeline]") {
  const auto all = cases();
  const std::size_t i = GENERATE(0, 1, 2, 3, 4, 5, 6, 7, 8);
  REQUIRE(all.size() == 9);
  INFO(all[i].name);
  const Traced seen = traced(all[i].scenario);
  CHECK(seen.overlaps == 0);
  CHECK(seen.steps == 4);
  CHECK(seen.slices > 4 * 27 * 8);  // every GPU in every layer of the smaller model
  CHECK(seen.dropped == 0);
  CHECK(seen.largest_counter > 0.01);
  CHECK(seen.largest_counter <= 1);
  // Rounding to nanoseconds, of a few hundred slices each way; waits of 1 ns are left out.
  CHECK(seen.difference < 1e-6);
  CHECK(seen.difference < 1e-3 * seen.step_seconds);
  if (seen.notes > 0) CHECK(std::string{all[i].name} == "pools");
}
