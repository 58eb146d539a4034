#include "sim/metrics/recorder.hpp"

#include <numeric>
#include <vector>

#include "models/hardware/cluster.hpp"
#include "sim/metrics/tables.hpp"
#include "tests/catch_compat.hpp"

using namespace moesim;

namespace {

Topology four_gpus() {
  ClusterSpec cluster;
  cluster.gpu.name = "test";
  cluster.gpu.nvlink = 100.0_GBps;
  cluster.gpus_per_node = 4;
  return Topology{cluster};
}

/// One MoE layer of 4 experts, one per GPU, and the recorder of what happens there.
struct FourGpus {
  const Topology topology = four_gpus();
  const Placement placement{1, 4, 4, 1, {0, 1, 2, 3}};
  Recorder recorder{{.topology = topology, .placement = placement, .ranks = 4, .top_k = 1, .layer_of_moe = {0}}};

  Summary summary() const {
    Summary summary;
    recorder.summarise(summary);
    return summary;
  }
};

}  // namespace

TEST_CASE("The expert that alone makes a GPU late is the only hotspot", "[metrics]") {
  FourGpus four;
  const std::vector<std::int32_t> rows{10, 10, 70, 10};
  const std::vector<double> busy{1, 1, 7, 1};
  four.recorder(ExpertsLoaded{Seconds{0}, 0, 0, rows, rows, 100});
  four.recorder(PhaseFinished{Seconds{7}, Seconds{7}, Cause::experts, 0, 2, busy});
  four.recorder(StepFinished{Seconds{7}, Seconds{7}, 0, 100});
  const Summary summary = four.summary();
  REQUIRE(summary.hotspots.size() == 1);
  // took 7, mean rank 10/4 = 2.5: 4.5 of 7 seconds are beyond balance.
  CHECK(summary.hotspots[0].id == "layer 0 expert 2");
  CHECK(summary.hotspots[0].kind == Hotspot::Kind::expert);
  CHECK(summary.hotspots[0].cause == Hotspot::Cause::hot_expert);
  CHECK(summary.hotspots[0].share_of_time == Approx(4.5 / 7));
  CHECK(summary.hotspots[0].layer == 0);
  CHECK(summary.hotspots[0].reason == "alone it has 2.80x the tokens of a mean GPU (on n0g2)");
  CHECK(summary.expert_imbalance->mean == Approx(2.8));  // 70 / 25
  CHECK(summary.gpu_imbalance->max == Approx(2.8));
  CHECK(summary.gpu_table[0].wait.value() == Approx(6));
  CHECK(summary.gpu_table[2].gating_share == Approx(1));
  CHECK(summary.tokens_conserved);
}

TEST_CASE("What a GPU has beyond its hottest expert is charged to the GPU", "[metrics]") {
  const Topology topology = four_gpus();
  const Placement placement{1, 8, 4, 2, {0, 1, 2, 3, 4, 5, 6, 7}};
  Recorder recorder{{.topology = topology, .placement = placement, .ranks = 4, .top_k = 1, .layer_of_moe = {0}}};
  // Mean GPU 25 rows. GPU 2: 70, 2.8x.
  const std::vector<std::int32_t> rows{5, 5, 5, 5, 30, 40, 5, 5};
  const std::vector<double> busy{1, 1, 7, 1};
  recorder(ExpertsLoaded{Seconds{0}, 0, 0, rows, rows, 100});
  recorder(PhaseFinished{Seconds{7}, Seconds{7}, Cause::experts, 0, 2, busy});
  recorder(StepFinished{Seconds{7}, Seconds{7}, 0, 100});
  Summary summary;
  recorder.summarise(summary);
  REQUIRE(summary.hotspots.size() == 2);
  // Expert 5 has 40, 1.6x: 0.6 of 1.8. The rest is the GPU's.
  CHECK(summary.hotspots[0].id == "n0g2");
  CHECK(summary.hotspots[0].cause == Hotspot::Cause::hot_experts);
  CHECK(summary.hotspots[0].share_of_time == Approx(4.5 / 7 * 2 / 3));
  CHECK(summary.hotspots[0].reason == "its experts get 2.80x the mean tokens in layer 0 (most: experts 5, 4)");
  CHECK(summary.hotspots[1].id == "layer 0 expert 5");
  CHECK(summary.hotspots[1].share_of_time == Approx(4.5 / 7 / 3));
  CHECK(summary.imbalance_cost.experts == Approx(4.5 / 7));
}

TEST_CASE("A slow GPU is charged with what its speed costs and its experts with the rest", "[metrics]") {
  const Topology topology = four_gpus();
  const Placement placement{1, 4, 4, 1, {0, 1, 2, 3}};
  Recorder recorder{{.topology = topology,
                     .placement = placement,
                     .ranks = 4,
                     .top_k = 1,
                     .layer_of_moe = {0},
                     .speeds = {1, 0.5, 1, 1}}};
  const std::vector<std::int32_t> rows{20, 40, 20, 20};
  const std::vector<double> busy{2, 8, 2, 2};
  recorder(ExpertsLoaded{Seconds{0}, 0, 0, rows, rows, 100});
  recorder(PhaseFinished{Seconds{8}, Seconds{8}, Cause::experts, 0, 1, busy});
  recorder(StepFinished{Seconds{8}, Seconds{8}, 0, 100});
  Summary summary;
  recorder.summarise(summary);
  REQUIRE(summary.hotspots.size() == 2);
  // Of 8 s, 4 are its speed's. Of the other 4, 2.5 is the mean of 2, 4, 2, 2.
  CHECK(summary.hotspots[0].cause == Hotspot::Cause::slow_gpu);
  CHECK(summary.hotspots[0].id == "n0g1");
  CHECK(summary.hotspots[0].share_of_time == Approx(0.5));
  CHECK(summary.hotspots[0].reason == "it computes at 50 % of the others' speed");
  CHECK(summary.hotspots[1].cause == Hotspot::Cause::hot_expert);
  CHECK(summary.hotspots[1].share_of_time == Approx(1.5 / 8));
  CHECK(summary.imbalance_cost.slow_gpus == Approx(0.5));
  CHECK(summary.imbalance_cost.experts == Approx(1.5 / 8));
}

TEST_CASE("A token lost between routing and slots is noticed", "[metrics]") {
  FourGpus four;
  const std::vector<std::int32_t> rows{10, 10, 69, 10};
  four.recorder(ExpertsLoaded{Seconds{0}, 0, 0, rows, rows, 100});
  four.recorder(StepFinished{Seconds{1}, Seconds{1}, 0, 100});
  const Summary summary = four.summary();
  CHECK(!summary.tokens_conserved);
}

TEST_CASE("An even system has no hotspot", "[metrics]") {
  FourGpus four;
  const std::vector<std::int32_t> rows{25, 25, 25, 25};
  const std::vector<double> busy{2, 2, 2, 2};
  four.recorder(ExpertsLoaded{Seconds{0}, 0, 0, rows, rows, 100});
  four.recorder(PhaseFinished{Seconds{2}, Seconds{2}, Cause::experts, 0, 0, busy});
  four.recorder(StepFinished{Seconds{2}, Seconds{2}, 0, 100});
  const Summary summary = four.summary();
  CHECK(summary.hotspots.empty());
  CHECK(experts_csv(summary) ==
        "layer,expert,slot,gpu,tokens\n0,0,0,n0g0,25\n0,1,1,n0g1,25\n0,2,2,n0g2,25\n0,3,3,n0g3,25\n");
}

TEST_CASE("The link that decides collectives beyond its tier's mean is a hotspot", "[metrics]") {
  FourGpus four;
  std::vector<double> bytes(four.topology.links().size(), 0.0);
  const LinkId hot = four.topology.route(0, 1)[0];
  for (const LinkId link : {four.topology.route(1, 0)[0], four.topology.route(2, 0)[0], four.topology.route(3, 0)[0]})
    bytes[link] = 10e9;
  bytes[hot] = 90e9;  // mean of the four used links: 30e9
  four.recorder(PhaseFinished{Seconds{0.9}, Seconds{0.9}, Cause::dispatch, 0, -1, {}});
  four.recorder(BytesMoved{Seconds{0.9}, Cause::dispatch, 0, Seconds{0.9}, bytes, hot, Seconds{0.9}});
  four.recorder(StepFinished{Seconds{1.8}, Seconds{1.8}, 0, 100});
  const Summary summary = four.summary();
  REQUIRE(summary.hotspots.size() == 1);
  CHECK(summary.hotspots[0].kind == Hotspot::Kind::link);
  CHECK(summary.hotspots[0].share_of_time == Approx(0.5 * (1 - 1.0 / 3)));
  CHECK(summary.links[hot].peak_share == Approx(1));  // 90 GB at 100 GB/s in 0.9 s
}

TEST_CASE("Links that are hot in turn cost as much as one that always is", "[metrics]") {
  FourGpus four;
  for (const int from : {0, 1, 2, 3}) {
    std::vector<double> bytes(four.topology.links().size(), 0.0);
    for (int gpu = 0; gpu < 4; ++gpu) bytes[four.topology.route(gpu, (gpu + 1) % 4)[0]] = gpu == from ? 60e9 : 20e9;
    const LinkId hot = four.topology.route(from, (from + 1) % 4)[0];
    four.recorder(PhaseFinished{Seconds{0.7}, Seconds{0.7}, Cause::combine, 0, -1, {}});
    four.recorder(BytesMoved{Seconds{0.7}, Cause::combine, 0, Seconds{0.7}, bytes, hot, Seconds{0.6}});
  }
  four.recorder(StepFinished{Seconds{2.8}, Seconds{2.8}, 0, 100});
  const Summary summary = four.summary();
  CHECK(summary.links[0].bytes.value() == summary.links[2].bytes.value());
  // Each time 0.6 s instead of the mean link's 0.3, of 0.7 s with latency.
  CHECK(summary.imbalance_cost.links == Approx(0.3 / 0.7));
  REQUIRE(summary.hotspots.size() == 4);
  CHECK(summary.hotspots[0].share_of_time == Approx(0.3 / 0.7 / 4));
}

TEST_CASE("A pipeline's critical path and hotspots are those of the stage that waits least", "[metrics]") {
  const Topology topology = four_gpus();
  const Placement placement{2, 2, 2, 1, {0, 1, 0, 1}};
  Recorder recorder{{.topology = topology,
                     .placement = placement,
                     .ranks = 2,
                     .layers = 2,
                     .top_k = 1,
                     .stages = 2,
                     .layer_of_moe = {0, 1},
                     .stage_of_moe = {0, 1}}};
  const std::vector<std::int32_t> even{50, 50}, uneven{80, 20};
  const std::vector<double> first{2, 2}, second{8, 2};
  recorder(ExpertsLoaded{Seconds{2}, 0, 0, even, even, 100});
  recorder(PhaseFinished{Seconds{2}, Seconds{2}, Cause::experts, 0, 0, first, 0});
  recorder(PhaseFinished{Seconds{8}, Seconds{6}, Cause::pipeline, -1, -1, {}, 0});
  recorder(ExpertsLoaded{Seconds{8}, 1, 1, uneven, uneven, 100});
  recorder(PhaseFinished{Seconds{8}, Seconds{8}, Cause::experts, 1, 0, second, 1});
  recorder(StepFinished{Seconds{8}, Seconds{8}, 0, 100});
  Summary summary;
  recorder.summarise(summary);
  CHECK(summary.critical_path[static_cast<std::size_t>(Cause::experts)] == Approx(1));
  CHECK(summary.imbalance_cost.experts == Approx(3.0 / 8));  // 8 against a mean of 5
  REQUIRE(summary.hotspots.size() >= 2);
  CHECK(summary.hotspots[0].id == "stage 1");  // it costs 3/8, as does the expert that keeps it
  CHECK(summary.hotspots[1].id == "layer 1 expert 0");
  CHECK(summary.gpu_table[1].wait.value() == 6);
  CHECK(summary.gpu_table[3].tokens == 20);
  CHECK(summary.experts[3].gpu == 3);
}

TEST_CASE("Step percentiles are nearest-rank", "[metrics]") {
  FourGpus four;
  for (int i = 1; i <= 100; ++i) four.recorder(StepFinished{Seconds{1.0 * i}, Seconds{1.0 * i}, i, 1});
  const Summary summary = four.summary();
  CHECK(summary.step.p50.value() == 50);
  CHECK(summary.step.p99.value() == 99);
  CHECK(summary.step.mean.value() == 50.5);
}

TEST_CASE("GPUs that end a phase together share what they gate", "[metrics]") {
  FourGpus four;
  const std::vector<double> even{2, 2, 2, 2}, two{1, 3, 1, 3};
  four.recorder(PhaseFinished{Seconds{2}, Seconds{2}, Cause::attention, 0, 0, even});
  four.recorder(PhaseFinished{Seconds{5}, Seconds{3}, Cause::attention, 0, 1, two});
  four.recorder(StepFinished{Seconds{5}, Seconds{5}, 0, 100});
  const Summary summary = four.summary();
  // all four share 2 s, GPUs 1 and 3 share 3 s: 0.5, 2, 0.5 and 2 of 5 s
  for (const int gpu : {0, 2}) CHECK(summary.gpu_table[static_cast<std::size_t>(gpu)].gating_share == Approx(0.1));
  for (const int gpu : {1, 3}) CHECK(summary.gpu_table[static_cast<std::size_t>(gpu)].gating_share == Approx(0.4));
  CHECK(!summary.expert_imbalance);  // no experts were loaded
}
