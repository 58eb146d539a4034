// Measured curves stand for the network model where they fit, and only there.

#include "models/collectives/measured_curves.hpp"

#include <numeric>

#include "models/collectives/collectives.hpp"
#include "tests/catch_compat.hpp"
#include "tests/traffic/clusters.hpp"

using namespace moesim;

namespace {

/// 10 us at 1 KiB and 50 us at 1 MiB over 4 ranks by NCCL; an engine's own all-reduce takes 5 us and 60 us.
KernelModel model() {
  KernelModel made;
  made.name = made.gpu = "h100-sxm";
  const auto table = [](KernelOperation operation, int ranks, std::vector<double> us) {
    return KernelTable{operation, "k", NumberFormat::bf16, {ranks}, {{{}, {1024, 1048576}, std::move(us)}}};
  };
  EngineModel nccl{"nccl", "2.1", {}, {}};
  nccl.tables = {table(KernelOperation::all_reduce, 4, {10, 50}), table(KernelOperation::all_gather, 4, {8, 40}),
                 table(KernelOperation::reduce_scatter, 2, {6, 30})};
  nccl.errors.push_back(
      {KernelOperation::all_reduce, "4 ranks", 19, 0.02, 0.1, 0.04, 0, "latency and bandwidth", 1, 1});
  made.collectives = {nccl, {"own", "3", {table(KernelOperation::all_reduce, 4, {5, 60})}, {}}};
  return made;
}

std::vector<int> gpus(int first, int count) {
  std::vector<int> group(static_cast<std::size_t>(count));
  std::iota(group.begin(), group.end(), first);
  return group;
}

}  // namespace

TEST_CASE("A measured collective has its latency below and its bandwidth above what was measured", "[collectives]") {
  const Topology topology{testing::cluster_of(1, 8)};
  const CollectiveCurves curves{model(), "other"};
  const auto* sum = curves.find(KernelOperation::all_reduce, topology, gpus(0, 4));
  REQUIRE(sum);
  CHECK(sum->library == "nccl 2.1");
  CHECK(sum->time(Bytes{16}).value() == Approx(10e-6));
  CHECK(sum->time(Bytes{1024 + (1048576 - 1024) / 2.0}).value() == Approx(30e-6));
  CHECK(sum->time(4_MiB).value() == Approx(200e-6));  // 1 MiB in 50 us, held
  CHECK(sum->sigma_at(1_MiB) == 0.04);
  CHECK(sum->sigma_at(4_MiB) == 0.08);
}

TEST_CASE("An engine's own all-reduce comes before the library's", "[collectives]") {
  const Topology topology{testing::cluster_of(1, 8)};
  const CollectiveCurves curves{model(), "own"};
  CHECK(curves.find(KernelOperation::all_reduce, topology, gpus(0, 4))->library == "own 3");
  CHECK(curves.find(KernelOperation::all_gather, topology, gpus(4, 4))->library == "nccl 2.1");
}

TEST_CASE("A curve fits its ranks on one node with whole links and nothing else", "[collectives]") {
  const CollectiveCurves curves{model(), "own"};
  const Topology topology{testing::cluster_of(2, 8)};
  CHECK_FALSE(curves.find(KernelOperation::all_reduce, topology, gpus(0, 8)));
  CHECK_FALSE(curves.find(KernelOperation::reduce_scatter, topology, gpus(0, 4)));
  CHECK_FALSE(curves.find(KernelOperation::all_reduce, topology, gpus(6, 4)));  // two nodes
  ClusterSpec slower = testing::cluster_of(1, 8);
  slower.gpu.nvlink = slower.gpu.nvlink / 2;
  CHECK_FALSE(curves.find(KernelOperation::all_reduce, Topology{slower}, gpus(0, 4)));
}

TEST_CASE("A collective takes its time from the curve and its bytes from the algorithm", "[collectives]") {
  const Topology topology{testing::cluster_of(1, 8)};
  const CollectiveCurves curves{model(), "own"};
  CollectiveParameters parameters;
  parameters.latency_intra = Seconds{1e-6};
  const auto modelled = all_reduce(topology, gpus(0, 4), 1_MiB, AllReduceAlgorithm::automatic, parameters);
  const auto measured = all_reduce(topology, gpus(0, 4), 1_MiB, AllReduceAlgorithm::automatic, parameters, &curves);
  CHECK_FALSE(modelled.measured);
  REQUIRE(measured.measured);
  CHECK(measured.time.value() == Approx(60e-6));
  CHECK(measured.sent_per_gpu == modelled.sent_per_gpu);
  CHECK(measured.algorithm == modelled.algorithm);
  CHECK(all_gather(topology, gpus(0, 4), 1_MiB, parameters, &curves).time.value() == Approx(40e-6));
  const auto other = all_gather(topology, gpus(0, 8), 1_MiB, parameters, &curves);  // no curve of 8
  CHECK(other.time == all_gather(topology, gpus(0, 8), 1_MiB, parameters).time);
  CHECK(reduce_scatter(topology, gpus(0, 1), 1_MiB, parameters, &curves).time == Seconds{});
}
