// Scenarios of replicas: what they say, and that they load.

#include "sim/validate/steady_batch.hpp"

#include "sim/scenario/scenario.hpp"
#include "tests/catch_compat.hpp"

using namespace moesim;

namespace {

const Replica kDense{.model = "llama-3.1-8b",
                     .gpu = "h100-sxm",
                     .attention_tp = 2,
                     .is_moe = false,
                     .formats = {"fp8_per_tensor", "fp8_per_tensor", "bf16"},
                     .engine = "vllm"};
const Replica kDeepSeek{.model = "deepseek-v3",
                        .gpu = "h200-sxm",
                        .attention_tp = 1,
                        .attention_dp = 16,
                        .expert_ep = 16,
                        .formats = {"fp8_block", "fp8_block", "bf16"},
                        .engine = "sglang"};

Scenario load(const std::string& text) {
  return parse_scenario(text, "case", ".");
}

}  // namespace

TEST_CASE("A steady batch decodes at the mean context and computes the others' prompts between steps", "[validate]") {
  const WeightedSteps steps = steady_batch({kDense, 9, 1000, 500});
  REQUIRE(steps.parts.size() == 2);
  CHECK(steps.parts[0].weight == 1);
  CHECK(steps.parts[1].weight == Approx(8.0 / 500));  // 8 others, replaced once in 500 steps

  const Scenario decode = load(steps.parts[0].scenario), prefill = load(steps.parts[1].scenario);
  CHECK(decode.workload.phase == Phase::decode);
  CHECK(decode.workload.context == 1250);  // 1000 + 500 / 2
  CHECK(tokens_of_dp_rank(decode.workload, decode.layout) == Approx(9));
  CHECK(prefill.workload.phase == Phase::prefill);
  CHECK(tokens_of_dp_rank(prefill.workload, prefill.layout) == Approx(1000));
  CHECK(decode.precision.weights == NumberFormat::fp8);
  CHECK(decode.cluster.gpus() == 2);
}

TEST_CASE("A lone request waits for no other prompt", "[validate]") {
  CHECK(steady_batch({kDense, 1, 1000, 500}).parts.size() == 1);
}

TEST_CASE("A replica takes as many nodes as its ranks need", "[validate]") {
  const Scenario scenario = load(decode_scenario(kDeepSeek, 64, 4096));
  CHECK(scenario.cluster.nodes == 2);
  CHECK(scenario.layout.attention_dp == 16);
  CHECK(scenario.layout.expert_ep == 16);
  CHECK(scenario.workload.tokens_per_gpu == 64);
  CHECK(scenario.precision.experts == NumberFormat::fp8_block);
  CHECK(layout_words(kDeepSeek) == "dp16 ep16");
  CHECK(layout_words(kDense) == "tp2");
}

TEST_CASE("The most requests that fit shrink with their length and are none without room for the weights",
          "[validate]") {
  const int some = most_requests(kDense, 2000, 2048, 0.9), fewer = most_requests(kDense, 9000, 2048, 0.9);
  CHECK(some > fewer);
  CHECK(fewer > 1);
  // One token more than the last that fits does not.
  const auto fits = [&](int requests) { return most_requests(kDense, 9000, requests, 0.9) == requests; };
  CHECK(fits(fewer));
  CHECK_FALSE(fits(fewer + 1));
  Replica large = kDense;
  large.model = "llama-3.1-405b";
  CHECK(most_requests(large, 2000, 2048, 0.9) == 0);
}
