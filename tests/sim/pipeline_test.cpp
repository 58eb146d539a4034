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

TEST_CASE("The host's time comes after every batch on the last stage", "[pipeline]") {
  const auto with_host = [](int stages, int microbatches, double milliseconds) {
    Scenario scenario = dense(stages, microbatches, 3);
    scenario.workload.host_time = Seconds{milliseconds * 1e-3};
    return run(scenario).step;
  };
  CHECK(with_host(1, 1, 2) == Approx(with_host(1, 1, 0) + 2e-3).epsilon(1e-9));
  CHECK(with_host(4, 1, 2) == Approx(with_host(4, 1, 0) + 2e-3).epsilon(1e-9));
  // A full pipeline turns at the pace of its last stage, which now has the host's time in every turn.
  CHECK(with_host(4, 4, 2) == Approx(with_host(4, 4, 0) + 4 * 2e-3).epsilon(1e-6));
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

namespace {

/// Mixtral in two stages of one GPU, its experts with less than 0.11 of a layer's measured load in int2.
Scenario cold_pipeline(const std::string& more) {
  return parse_scenario(
      "model: mixtral-8x7b\ncluster: {gpu: h200-sxm, gpus_per_node: 2}\nworkload: {tokens_per_gpu: 16, steps: 2}\n"
      "routing: {kind: histogram, file: routing/mixtral_8x7b_mmlu_shares.csv}\n" +
          more,
      "cold.yaml", std::string{MOESIM_TEST_SOURCE_DIR} + "/scenarios");
}

double line(const MemoryFit& fit, const std::string& name) {
  for (const MemoryLine& l : fit.lines)
    if (l.name == name) return l.bytes.value();
  return 0;
}

}  // namespace

TEST_CASE("The fullest stage of a pipeline is fitted with its own experts in their formats", "[pipeline]") {
  // Every expert has 176,160,768 weights; one of 16 bit and seven of 4.125 in each of the 20 layers of stage 0.
  const Scenario listed = cold_pipeline(
      "layout: {pp: 2, attention: {tp: 1}, stage_layers: [20, 12]}\n"
      "precision: {experts: [bf16, int4_group128, int4_group128, int4_group128, int4_group128, int4_group128, "
      "int4_group128, int4_group128]}\n");
  const MemoryFit fit = plan_deployment(listed).memory;
  CHECK(fit.stage == 0);
  CHECK(line(fit, "expert weights") == Approx(20 * 176160768.0 * (16 + 7 * 4.125) / 8));

  // Cold experts differ from layer to layer, and so do the stages.
  const Scenario cold = cold_pipeline(
      "layout: {pp: 2, attention: {tp: 1}, stage_layers: [14, 18]}\n"
      "precision: {experts: bf16, cold_experts: {below: 0.11, format: int2_group128}}\n");
  const Deployment plan = plan_deployment(cold);
  int narrow[2] = {0, 0};
  for (int l = 0; l < 32; ++l)
    for (int e = 0; e < 8; ++e)  // inclusion sums to 2 in a layer
      narrow[l < 14 ? 0 : 1] += plan.popularity.layer(l)[static_cast<std::size_t>(e)] / 2 < 0.11;
  REQUIRE(narrow[0] > 5);
  REQUIRE(narrow[1] > 5);
  const auto experts = [&](int stage, int layers) {
    return 176160768.0 / 8 * (narrow[stage] * 2.140625 + (8 * layers - narrow[stage]) * 16);
  };
  INFO(narrow[0] << " and " << narrow[1] << " cold experts");
  CHECK(plan.memory.stage == (experts(1, 18) > experts(0, 14) ? 1 : 0));
  CHECK(line(plan.memory, "expert weights") == Approx(experts(plan.memory.stage, plan.memory.stage == 0 ? 14 : 18)));
}

TEST_CASE("Every stage computes each of its layers in the formats of that layer", "[pipeline]") {
  const Scenario scenario = cold_pipeline(
      "layout: {pp: 2, attention: {tp: 1}, stage_layers: [14, 18], microbatches: 1}\n"
      "precision: {experts: bf16, cold_experts: {below: 0.11, format: int2_group128}}\n");
  const auto numbers = run_forked("formats", [&] {
    const Deployment plan = plan_deployment(scenario);
    const auto wide = plan.kernels->experts({4096, 14336, NumberFormat::bf16});
    const auto narrow = plan.kernels->experts({4096, 14336, NumberFormat::int2_group128});
    double told = 0, by_hand = 0, mixed_layers = 0;
    run_batches(scenario, plan, [&](const Event& event) {
      if (const auto* loaded = std::get_if<ExpertsLoaded>(&event)) {
        std::vector<std::int32_t> hot, cold;
        for (int e = 0; e < 8; ++e) {
          const bool is_cold = plan.popularity.layer(loaded->moe_layer)[static_cast<std::size_t>(e)] / 2 < 0.11;
          (is_cold ? cold : hot).push_back(loaded->rows_per_slot[static_cast<std::size_t>(e)]);
        }
        by_hand += (*wide)(hot).value() + (cold.empty() ? 0 : (*narrow)(cold).value());
        mixed_layers += !cold.empty();
      }
      if (const auto* phase = std::get_if<PhaseFinished>(&event))
        if (phase->cause == Cause::experts) told += phase->took.value();
    });
    return std::vector<double>{told, by_hand, mixed_layers};
  });
  CHECK(numbers[0] == Approx(numbers[1]).epsilon(1e-9));
  CHECK(numbers[2] > 40);  // of 2 steps x 32 layers
}
