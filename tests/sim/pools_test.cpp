// Attention-FFN disaggregation (layout L10) from scenario to step time.

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
