// Attention-FFN disaggregation (layout L10) from scenario to step time.

#include <cmath>

#include "sim/engine/forked.hpp"
#include "sim/serving/batch_run.hpp"
#include "sim/serving/expert_traffic.hpp"
#include "sim/serving/rank_times.hpp"
#include "sim/simulate.hpp"
#include "tests/catch_compat.hpp"

using namespace moesim;

namespace {

/// Mixtral's attention on 4 GPUs, its experts on the other 4 of a node.
Scenario pools(int microbatches, const char* sampler = "token") {
  return parse_scenario(
      "model: mixtral-8x7b\ncluster: {gpu: h200-sxm, nodes: 1}\nrouting: {kind: balanced}\n"
      "layout: {attention: {dp: 4}, experts: {ep: 4, apart: true}}\nworkload: {tokens_per_gpu: 24, context: 512, "
      "steps: 3}\n",
      "pools.yaml", ".", {{"layout.microbatches", std::to_string(microbatches)}, {"routing.sampler", sampler}});
}

struct Run {
  double step = 0, dispatch = 0, combine = 0, pipeline = 0;  ///< seconds: mean step, one collective; share
  double conserved = 0, attention_tokens = 0, expert_tokens = 0, dispatched_bytes = 0;
};

Run run(const Scenario& scenario) {
  const auto numbers = run_forked("pools", [&] {
    Run seen;
    const Deployment plan = plan_deployment(scenario);
    run_batches(scenario, plan, [&](const Event& event) {
      if (const auto* moved = std::get_if<BytesMoved>(&event)) {
        if (moved->cause == Cause::combine) seen.combine = moved->took.value();
        if (moved->cause != Cause::dispatch) return;
        seen.dispatch = moved->took.value();
        for (const LinkId link : plan.topology.route(0, 4))
          if (plan.topology.links()[static_cast<std::size_t>(link)].from == 0)
            seen.dispatched_bytes += moved->link_bytes[static_cast<std::size_t>(link)];
      }
    });
    return std::vector<double>{seen.dispatch, seen.combine, seen.dispatched_bytes};
  });
  const auto summed = run_forked("summary", [&] {
    const Summary summary = simulate(scenario, std::nullopt);
    double attention = 0, experts = 0;
    for (std::size_t gpu = 0; gpu < summary.gpu_table.size(); ++gpu)
      (gpu < 4 ? attention : experts) += static_cast<double>(summary.gpu_table[gpu].tokens);
    return std::vector<double>{summary.step.mean.value(),
                               summary.critical_path[static_cast<std::size_t>(Cause::pipeline)],
                               double(summary.tokens_conserved && summary.bytes_conserved), attention, experts};
  });
  return {summed[0], numbers[0], numbers[1], summed[1], summed[2], summed[3], summed[4], numbers[2]};
}

/// Seconds that one microbatch keeps each pool busy in a step.
std::pair<double, double> work(const Scenario& scenario) {
  const Deployment plan = plan_deployment(scenario);
  const StepBatch batch = batch_of_step(scenario, plan.layout, 0);
  const RankTimes times = time_ranks(scenario, plan, batch);
  ExpertTraffic traffic{scenario, plan};
  LayerTraffic loads;
  traffic.draw(0, 0, batch, loads);
  std::vector<double> experts(4);
  ExpertPhase{scenario, plan}(0, loads.rows_per_slot, experts);
  return {32 * (times.attention[0] + times.routing[0] + times.shared[0]) + times.head[0], 32 * experts[0]};
}

}  // namespace

TEST_CASE("A lone microbatch takes both pools and both ways of the network in turn", "[pools]") {
  const Scenario scenario = pools(1, "aggregate");
  const auto [attention, experts] = work(scenario);
  const Run seen = run(scenario);
  CHECK(seen.step == Approx(attention + experts + 32 * (seen.dispatch + seen.combine)).epsilon(1e-6));
}

TEST_CASE("Enough microbatches keep the slower pool busy all the time", "[pools]") {
  const Scenario scenario = pools(4, "aggregate");
  const auto [attention, experts] = work(scenario);
  const Run seen = run(scenario);
  // Each of 4 microbatches in its turn at the slower pool, layer by layer.
  const double slower = std::max(attention, experts);
  CHECK(seen.step >= 4 * slower * (1 - 1e-9));
  CHECK(seen.step <= 4 * slower * 1.02);
  CHECK(seen.pipeline < 0.02);
}

TEST_CASE("Tokens go to the expert pool only, none to a pool's own ranks", "[pools]") {
  const Run seen = run(pools(2));
  CHECK(seen.conserved == 1);
  CHECK(seen.attention_tokens == 0);
  // 24 tokens x 8 GPUs, 3 steps, 32 layers, 2 experts each.
  CHECK(seen.expert_tokens == 24 * 8 * 3 * 32 * 2);
  // GPU 0 sends k T w_d with T = 48 tokens in two microbatches, and nothing stays: 2 B x 4096 (bf16).
  CHECK(seen.dispatched_bytes == Approx(3 * 32 * 2 * 48 * 2 * 4096.0));
}

TEST_CASE("The pools hold the model once, the cache on the attention side", "[pools]") {
  const Scenario scenario = pools(2);
  const MemoryFit fit = plan_deployment(scenario).memory;
  CHECK(fit.stage == 1);  // 4 GPUs hold 8 x 32 experts of 176 M parameters: 22.5 GB each
  double weights = 0;
  for (const MemoryLine& line : fit.lines) {
    CHECK(line.group != "kv");
    if (line.group == "weights") weights += line.bytes.value();
  }
  CHECK(weights == 2 * 32 * 3 * 4096.0 * 14336 * 2);
}

TEST_CASE("Between pools on nodes of their own a token crosses one NIC per node with experts", "[pools]") {
  // Prefill on 8 + 8 GPUs: DeepEP's normal mode, a copy per node. Two distinct experts of 8 are two ranks of the one
  // expert node; of 8 relays as likely, one in 8 is the rank itself. 16 x 512 tokens of 2 B x 4096.
  const char* sampler = GENERATE("token", "aggregate");
  const Scenario scenario = parse_scenario(
      "model: mixtral-8x7b\ncluster: {gpu: h200-sxm, nodes: 2}\n"
      "layout: {attention: {dp: 8}, experts: {ep: 8, apart: true}}\n"
      "workload: {phase: prefill, tokens_per_gpu: 512, context: 512, steps: 1}\n",
      "pools.yaml", ".", {{"routing.sampler", sampler}, {"layout.microbatches", "1"}});
  const Deployment plan = plan_deployment(scenario);
  CHECK(plan.all_to_all == AllToAll::deepep_normal);
  CHECK(plan.chosen.at("communication.copies") == "per_node");
  const StepBatch batch = batch_of_step(scenario, plan.layout, 0);
  REQUIRE(batch.tokens == 16 * 512);
  ExpertTraffic traffic{scenario, plan};
  LayerTraffic loads;
  double nic = 0, nvlink = 0, back = 0;
  for (int layer = 0; layer < 32; ++layer) {
    traffic.draw(0, layer, batch, loads);
    for (std::size_t id = 0; id < loads.dispatch_bytes.size(); ++id) {
      const Tier tier = plan.topology.links()[id].tier;
      if (tier == Tier::nic) nic += loads.dispatch_bytes[id];
      if (tier == Tier::nic) back += loads.combine_bytes[id];
      if (tier == Tier::nvlink) nvlink += loads.dispatch_bytes[id];
    }
  }
  const double all = 32 * 16 * 512 * 2 * 4096.0;
  INFO(sampler);
  CHECK(nic == Approx(2 * all).epsilon(1e-9));  // out of one NIC, into another
  CHECK(back == Approx(2 * all).epsilon(1e-9));
  // sd of a token's forwarded copies: sqrt(2/8 * 6/8) as at most one is the relay's own
  const double sigma = 2 * std::sqrt(32 * 16 * 512 * 0.1875) * 2 * 4096.0;
  CHECK(std::abs(nvlink - 2 * 1.75 * all) < 3 * sigma);
}

TEST_CASE("Pools on nodes of their own conserve every token and byte with a copy per node", "[pools]") {
  const auto run_with = [](const char* sampler) {
    const Scenario scenario = parse_scenario(
        "model: mixtral-8x7b\ncluster: {gpu: h200-sxm, nodes: 3}\n"
        "layout: {attention: {dp: 8}, experts: {ep: 16, apart: true}, microbatches: 2}\n"
        "placement: {policy: eplb, redundant: 8}\nrouting: {kind: zipf, exponent: 0.5}\n"
        "workload: {phase: prefill, tokens_per_gpu: 256, context: 768, steps: 4}\n",
        "pools.yaml", ".", {{"routing.sampler", sampler}});
    return run_forked("summary", [&] {
      const Summary summary = simulate(scenario, 1);
      double tokens = 0;
      for (const auto& gpu : summary.gpu_table) tokens += static_cast<double>(gpu.tokens);
      return std::vector<double>{double(summary.tokens_conserved && summary.bytes_conserved), tokens,
                                 double(summary.chosen.at("communication.copies") == "per_node"),
                                 summary.step.mean.value(), std::abs(summary.audit->sharing->worst)};
    });
  };
  const auto token = run_with("token"), aggregate = run_with("aggregate");
  for (const auto& numbers : {token, aggregate}) {
    CHECK(numbers[0] == 1);
    CHECK(numbers[1] == 4.0 * 256 * 24 * 32 * 2);
    CHECK(numbers[2] == 1);
    CHECK(numbers[4] < 0.02);  // flows of SimGrid against the busiest link
  }
  CHECK(aggregate[3] == Approx(token[3]).epsilon(0.01));
}
