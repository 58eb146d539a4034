// Pipelines (layout L8) from scenario to step time.

#include <numeric>

#include "sim/engine/forked.hpp"
#include "sim/serving/batch_run.hpp"
#include "sim/serving/rank_times.hpp"
#include "sim/simulate.hpp"
#include "tests/catch_compat.hpp"

using namespace moesim;

namespace {

Scenario dense(int pp, int microbatches, int steps) {
  return parse_scenario("model: llama-2-13b\ncluster: {gpu: h100-sxm, nodes: 1}\nworkload: {tokens_per_gpu: 8}\n",
                        "dense.yaml", ".",
                        {{"layout.attention.tp", "1"},
                         {"layout.pp", std::to_string(pp)},
                         {"layout.microbatches", std::to_string(microbatches)},
                         {"workload.steps", std::to_string(steps)}});
}

struct Run {
  double length;    ///< seconds from the first microbatch on
  double step;      ///< of the mean step told
  double handover;  ///< of an activation between two stages
};

Run run(const Scenario& scenario) {
  const auto numbers = run_forked("pipeline", [&] {
    double steps = 0, count = 0, handover = 0;
    const Deployment plan = plan_deployment(scenario);
    const Seconds length = run_batches(scenario, plan, [&](const Event& event) {
      if (const auto* step = std::get_if<StepFinished>(&event)) {
        steps += step->took.value();
        ++count;
      }
      if (const auto* moved = std::get_if<BytesMoved>(&event))
        if (moved->cause == Cause::pipeline) handover = moved->took.value();
    });
    return std::vector<double>{length.value(), steps / count, handover};
  });
  return {numbers.at(0), numbers.at(1), numbers.at(2)};
}

/// Seconds of a layer, and of the LM head, for a microbatch.
std::pair<double, double> parts(const Scenario& scenario) {
  const Deployment plan = plan_deployment(scenario);
  const RankTimes times = time_ranks(scenario, plan, batch_of_step(scenario, plan.layout, 0));
  return {times.attention[0] + times.dense[0], times.head[0]};
}

}  // namespace

TEST_CASE("A pipeline takes (microbatches + stages - 1) turns to fill and empty (L23)", "[pipeline]") {
  const int stages = 4, microbatches = 4;
  const Scenario scenario = dense(stages, microbatches, 1);
  const auto [layer, head] = parts(scenario);
  const Run one = run(scenario);
  // 40 layers: three stages of ten, and a last one with the LM head too, which decides. The step that fills the
  // pipeline and the one that is told: 8 microbatches through it. Microbatch 5 is back in time for its turn.
  const double turn = 10 * layer + head;
  REQUIRE(4 * turn > 3 * (10 * layer + one.handover) + turn);
  CHECK(one.length == Approx((stages - 1) * (10 * layer + one.handover) + 2 * microbatches * turn).epsilon(1e-6));
  CHECK(one.step == Approx(microbatches * turn).epsilon(1e-6));
}

TEST_CASE("A pipeline with one microbatch is as slow as its stages in turn", "[pipeline]") {
  const Scenario scenario = dense(4, 1, 3);
  const auto [layer, head] = parts(scenario);
  const Run one = run(scenario);
  CHECK(one.step == Approx(40 * layer + head + 3 * one.handover).epsilon(1e-6));
}

TEST_CASE("What a stage waits for is charged to the pipeline", "[pipeline]") {
  const Scenario scenario = dense(4, 1, 3);
  const auto [layer, head] = parts(scenario);
  const auto shares = run_forked("summary", [&] {
    const Summary summary = simulate(scenario, std::nullopt);
    std::vector<double> numbers{summary.step.mean.value(), double(summary.gpu_table.size())};
    numbers.insert(numbers.end(), summary.critical_path.begin(), summary.critical_path.end());
    return numbers;
  });
  CHECK(shares.at(1) == 4);
  // The last stage works least of all waiting: a quarter of the layers and the head.
  const double work = (10 * layer + head) / shares.at(0);
  CHECK(shares.at(2 + static_cast<int>(Cause::pipeline)) == Approx(1 - work).epsilon(1e-6));
  CHECK(std::accumulate(shares.begin() + 2, shares.end(), 0.0) == Approx(1));
}

TEST_CASE("Stages of a MoE model dispatch among their own GPUs and lose nothing", "[pipeline]") {
  const auto numbers = run_forked("moe", [] {
    const Scenario scenario = parse_scenario(
        "model: mixtral-8x7b\ncluster: {gpu: h100-sxm, nodes: 2}\nworkload: {tokens_per_gpu: 16, steps: 3}\n"
        "routing: {kind: balanced}\n",
        "moe.yaml", ".", {{"layout.pp", "2"}});
    const Summary summary = simulate(scenario, std::nullopt);
    double nic = 0, dispatched[2] = {0, 0};
    for (const LinkUse& link : summary.links) {
      if (link.tier == "nic") nic += link.bytes.value();
      if (link.tier == "nvlink") dispatched[link.name.substr(0, 2) == "n0" ? 0 : 1] += link.bytes.value();
    }
    std::int64_t tokens[2] = {0, 0};
    for (std::size_t gpu = 0; gpu < summary.gpu_table.size(); ++gpu) tokens[gpu / 8] += summary.gpu_table[gpu].tokens;
    return std::vector<double>{double(summary.tokens_conserved),
                               double(summary.bytes_conserved),
                               nic,
                               dispatched[0],
                               dispatched[1],
                               double(tokens[0]),
                               double(tokens[1])};
  });
  CHECK(numbers[0] == 1);
  CHECK(numbers[1] == 1);
  // A step has 16 x 16 tokens; each crosses one NIC out and one in (2 B x 4096), three times.
  CHECK(numbers[2] == Approx(2 * 3 * 256 * 2 * 4096.0));
  CHECK(numbers[3] == Approx(numbers[4]));
  CHECK(numbers[5] == 3 * 256 * 2 * 16);  // steps x tokens x top 2 x layers of the stage
  CHECK(numbers[6] == numbers[5]);
}

TEST_CASE("Uneven stages make the slowest one the hotspot", "[pipeline]") {
  const auto numbers = run_forked("uneven", [] {
    Scenario scenario = parse_scenario(
        "model: llama-2-13b\ncluster: {gpu: h100-sxm, nodes: 1}\nworkload: {tokens_per_gpu: 8, steps: 3}\n"
        "layout: {pp: 4, attention: {tp: 1}, stage_layers: [5, 20, 8, 7]}\n",
        "uneven.yaml", ".");
    const Summary summary = simulate(scenario, std::nullopt);
    return std::vector<double>{double(summary.hotspots.at(0).kind == Hotspot::Kind::stage),
                               double(summary.hotspots.at(0).id == "stage 1"), summary.hotspots.at(0).share_of_time};
  });
  CHECK(numbers[0] == 1);
  CHECK(numbers[1] == 1);
  CHECK(numbers[2] == Approx(0.5).epsilon(0.03));  // 20 layers against a mean of 10, the head apart
}
