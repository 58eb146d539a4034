#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <vector>

#include "sim/serving/two_batch_layers.hpp"
#include "tests/catch_compat.hpp"

using namespace moesim;

namespace {

/// What passed on the rank that was busy longest.
double passed(OverlapTimeline& timeline, int ranks = 1) {
  timeline.meet();
  double most = 0;
  for (int r = 0; r < ranks; ++r) {
    double sum = 0;
    for (int cause = 0; cause < kCauses; ++cause)
      sum += timeline.spent(static_cast<Cause>(cause))[static_cast<std::size_t>(r)];
    most = std::max(most, sum);
  }
  return most;
}

/// A micro-batch with computation C, half of it before the dispatch and half experts, and communication M.
HalfLayer half_layer(const std::vector<double>& half_compute, const std::vector<double>& none, double communication) {
  return {none, half_compute, none, none, half_compute, Seconds{communication / 2}, Seconds{communication / 2}};
}

double seconds_of(Phase phase, double compute, double communication, int layers) {
  const std::vector<double> half{compute / 2}, none{0.0};
  OverlapTimeline timeline{1, 1.0};
  TwoBatch batches{phase, timeline};
  const HalfLayer layer = half_layer(half, none, communication);
  for (int l = 0; l < layers; ++l) batches.layer(layer, layer);
  batches.drain();
  return passed(timeline);
}

}  // namespace

TEST_CASE("Perfectly alternating micro-batches take 2 max(C, M) a layer (L22)", "[serving]") {
  // Without overlap a layer of both would take 2 (C + M). The slope over layers leaves out filling and draining.
  const auto per_layer = [](double compute, double communication) {
    return (seconds_of(Phase::prefill, compute, communication, 110) -
            seconds_of(Phase::prefill, compute, communication, 10)) /
           100;
  };
  CHECK(per_layer(1, 1) == Approx(2).epsilon(1e-9));  // half of 2 (1 + 1)
  CHECK(per_layer(3, 1) == Approx(6).epsilon(1e-9));
  CHECK(per_layer(1, 3) == Approx(6).epsilon(1e-9));
  CHECK(per_layer(2, 0) == Approx(4).epsilon(1e-9));
}

TEST_CASE("Overlap never takes longer than one after the other, and never less than either resource needs",
          "[serving]") {
  const auto phase = GENERATE(Phase::prefill, Phase::decode);
  for (const double communication : {0.0, 0.3, 1.0, 2.5}) {
    INFO(communication);
    const double took = seconds_of(phase, 1, communication, 40);
    CHECK(took <= 40 * 2 * (1 + communication) * (1 + 1e-12));
    CHECK(took >= 40 * 2 * std::max(1.0, communication) * (1 - 1e-12));
  }
}

TEST_CASE("Computation beside a collective proceeds at its lower rate", "[serving]") {
  // 112 of 132 SMs left. 3 s of work from 0, a collective over [0, 2]: 2 x 112/132 s are done by 2, the rest follows.
  const double rate = 112.0 / 132;
  OverlapTimeline timeline{1, rate};
  timeline.start(0, Cause::dispatch, Seconds{2});
  timeline.compute(0, Cause::experts, std::vector<double>{3});
  CHECK(timeline.spent(Cause::experts)[0] == Approx(2 + 3 - 2 * rate));
  timeline.compute(0, Cause::experts, std::vector<double>{1});  // nothing in flight any more
  CHECK(timeline.spent(Cause::experts)[0] == Approx(2 + 4 - 2 * rate));
  CHECK_THROWS_AS((OverlapTimeline{1, 0.0}), std::invalid_argument);
}

TEST_CASE("A collective starts when the last rank issues it and all wait for its end", "[serving]") {
  OverlapTimeline timeline{2, 1.0};
  timeline.compute(0, Cause::attention, std::vector<double>{1, 4});
  timeline.start(0, Cause::dispatch, Seconds{2});  // from 4 to 6
  timeline.start(1, Cause::dispatch, Seconds{3});  // the network is taken until 6: to 9
  timeline.wait(0);
  CHECK(timeline.spent(Cause::dispatch) == std::vector<double>{5, 2});
  timeline.wait(1);
  CHECK(timeline.spent(Cause::dispatch) == std::vector<double>{8, 5});
  CHECK(passed(timeline, 2) == 9);
}

TEST_CASE("In decode a dispatch runs beside the other micro-batch's projection and shared experts", "[serving]") {
  // Micro-batch 0: projection 1, attention 1, dispatch 2 while its shared experts (0.5) and batch 1's projection (1)
  // run: 0.5 s are waited for. Then experts 1, combine 1 beside batch 1's attention (1), dispatch 2 beside shared 0.5,
  // experts 1, combine 1 alone at the end.
  const std::vector<double> one{1}, shared{0.5}, none{0};
  const HalfLayer half{one, one, none, shared, one, Seconds{2}, Seconds{1}};
  OverlapTimeline timeline{1, 1.0};
  TwoBatch batches{Phase::decode, timeline};
  batches.layer(half, half);
  batches.drain();
  // 2 + (0.5 + 1) + 0.5 waited + 1 + 1 + 0.5 + 1.5 waited + 1 + 1 waited
  CHECK(passed(timeline) == Approx(10));
  CHECK(timeline.spent(Cause::dispatch)[0] == Approx(2));
  CHECK(timeline.spent(Cause::combine)[0] == Approx(1));
}

TEST_CASE("Both halves of a step are the step", "[serving]") {
  Scenario scenario;
  scenario.workload.phase = Phase::decode;
  scenario.workload.tokens_per_gpu = 7;
  scenario.workload.context = 100;
  Layout layout;
  layout.spec.attention_dp = layout.ranks = 4;
  const auto halves = halves_of(batch_of_step(scenario, layout, 0), layout);
  CHECK(halves[0].of_dp_rank[2].sequences == 4);
  CHECK(halves[1].of_dp_rank[2].sequences == 3);
  CHECK(halves[0].tokens_of_rank == std::vector<std::int64_t>(4, 4));
  CHECK(halves[0].tokens + halves[1].tokens == 28);
}

TEST_CASE("A single prompt is cut in its tokens, and its second half attends to the first", "[serving]") {
  Scenario scenario;
  scenario.workload.phase = Phase::prefill;
  scenario.workload.tokens_per_gpu = scenario.workload.context = 4096;
  Layout layout;
  layout.spec.attention_dp = layout.ranks = 2;
  const auto halves = halves_of(batch_of_step(scenario, layout, 0), layout);
  CHECK(halves[0].of_dp_rank[0].new_tokens == 2048);
  CHECK(halves[0].of_dp_rank[0].context == 0);
  CHECK(halves[1].of_dp_rank[0].context == 2048);
  CHECK(halves[1].tokens == 2 * 2048);
}
