#include "sim/serving/batch.hpp"

#include <algorithm>
#include <numeric>

#include "tests/catch_compat.hpp"

using namespace moesim;

namespace {

Scenario with(Phase phase, double tokens_per_gpu, double context) {
  Scenario scenario;
  scenario.workload.phase = phase;
  scenario.workload.tokens_per_gpu = tokens_per_gpu;
  scenario.workload.context = context;
  return scenario;
}

Layout layout_of(int tp, int dp) {
  Layout layout;
  layout.spec.attention_tp = tp;
  layout.spec.attention_dp = dp;
  layout.ranks = tp * dp;
  return layout;
}

}  // namespace

TEST_CASE("Layouts of equal GPUs get the same tokens, however attention is split", "[serving]") {
  const Scenario scenario = with(Phase::decode, 64, 4096);
  const StepBatch shared = batch_of_step(scenario, layout_of(8, 1), 0),
                  split = batch_of_step(scenario, layout_of(1, 8), 0);
  CHECK(shared.tokens == 512);
  CHECK(split.tokens == 512);
  REQUIRE(shared.of_dp_rank.size() == 1);
  CHECK(shared.of_dp_rank[0].sequences == 512);
  CHECK(split.of_dp_rank[3].sequences == 64);
  CHECK(std::accumulate(shared.tokens_of_rank.begin(), shared.tokens_of_rank.end(), 0LL) == 512);
}

TEST_CASE("A prefill chunk that holds whole prompts works on them from position 0", "[serving]") {
  const StepBatch batch = batch_of_step(with(Phase::prefill, 16384, 4096), layout_of(1, 2), 0);
  CHECK(batch.of_dp_rank[0].sequences == 4);
  CHECK(batch.of_dp_rank[0].new_tokens == 4096);
  CHECK(batch.of_dp_rank[0].context == 0);
  CHECK(batch.finished_prompts[0] == 4);
}

TEST_CASE("A prompt longer than a step is attended piece by piece and finishes with its last", "[serving]") {
  const Scenario scenario = with(Phase::prefill, 1000, 3000);
  CHECK(batch_period(scenario) == 3);
  for (int step = 0; step < 4; ++step) {
    const StepBatch batch = batch_of_step(scenario, layout_of(1, 1), step);
    CHECK(batch.of_dp_rank[0].context == step % 3 * 1000);
    CHECK(batch.finished_prompts[0] == (step == 2 ? 1 : 0));
  }
}

TEST_CASE("A step that ends a prompt goes on with the next, as much work in all", "[serving]") {
  // 2,500 tokens in steps of 1,000. The third has the last 500, which look back on 2,000 to 2,500, and 500 of the next:
  // 500 x 2,250 + 500 x 250 = 1,250,000 pairs, as 1,000 tokens behind 750 have: 1,000 x (750 + 500).
  const Scenario scenario = with(Phase::prefill, 1000, 2500);
  CHECK(batch_period(scenario) == 5);
  const StepBatch third = batch_of_step(scenario, layout_of(1, 1), 2);
  CHECK(third.of_dp_rank[0].context == 750);
  CHECK(third.finished_prompts[0] == 1);
  double pairs = 0, finished = 0;
  for (int step = 0; step < 5; ++step) {
    const StepBatch batch = batch_of_step(scenario, layout_of(1, 1), step);
    CHECK(batch.tokens == 1000);
    pairs += 1000 * (batch.of_dp_rank[0].context + 500);
    finished += batch.finished_prompts[0];
  }
  CHECK(finished == 2);
  CHECK(pairs == 2 * 2500 * 1250.0);
}

TEST_CASE("Data-parallel imbalance reaches its maximum and keeps the mean", "[serving]") {
  Scenario scenario = with(Phase::decode, 100, 1024);
  scenario.workload.dp_imbalance = 1.5;
  for (int step = 0; step < 5; ++step) {
    const StepBatch batch = batch_of_step(scenario, layout_of(1, 8), step);
    INFO("step " << step);
    CHECK(*std::max_element(batch.tokens_of_rank.begin(), batch.tokens_of_rank.end()) == 150);
    CHECK(std::abs(batch.tokens - 800) <= 4);  // each rank rounds to whole tokens
  }
  CHECK(batch_of_step(scenario, layout_of(1, 8), 0).tokens_of_rank !=
        batch_of_step(scenario, layout_of(1, 8), 1).tokens_of_rank);
}
