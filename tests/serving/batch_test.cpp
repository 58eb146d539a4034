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

TEST_CASE("A prompt longer than the chunk is attended piece by piece and finishes with its last", "[serving]") {
  // 2,500 tokens in chunks of 1,000: 1,000 + 1,000 + 500, then the next prompt.
  const Scenario scenario = with(Phase::prefill, 1000, 2500);
  CHECK(batch_period(scenario) == 3);
  const StepBatch last = batch_of_step(scenario, layout_of(1, 1), 2);
  CHECK(last.of_dp_rank[0].context == 2000);
  CHECK(last.of_dp_rank[0].new_tokens == 500);
  CHECK(last.finished_prompts[0] == 1);
  CHECK(batch_of_step(scenario, layout_of(1, 1), 1).finished_prompts[0] == 0);
  CHECK(batch_of_step(scenario, layout_of(1, 1), 3).of_dp_rank[0].context == 0);
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
