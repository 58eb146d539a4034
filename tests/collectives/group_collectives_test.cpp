#include <numeric>

#include "models/collectives/collectives.hpp"
#include "models/units/error.hpp"
#include "tests/catch_compat.hpp"
#include "tests/traffic/clusters.hpp"

using namespace moesim;
using namespace moesim::testing;

namespace {

std::vector<int> first_gpus(int count) {
  std::vector<int> gpus(static_cast<std::size_t>(count));
  std::iota(gpus.begin(), gpus.end(), 0);
  return gpus;
}

const CollectiveParameters kParameters{
    .latency_intra = 15.5_us, .latency_inter = 20.0_us, .latency_per_peer = {}, .source = {}};

double tier_bytes(const Topology& topology, std::span<const double> bytes, Tier tier) {
  double sum = 0;
  for (std::size_t link = 0; link < bytes.size(); ++link)
    if (topology.links()[link].tier == tier) sum += bytes[link];
  return sum;
}

}  // namespace

TEST_CASE("A ring inside a node is the closed form plus the measured latency", "[collectives]") {
  const Topology topology{cluster_of(1, 8)};
  const auto gpus = first_gpus(8);
  const auto ring = all_reduce(topology, gpus, 64_MiB, AllReduceAlgorithm::ring, kParameters);
  REQUIRE(ring.time.value() == Approx(15.5e-6 + 260.979e-6).epsilon(1e-5));  // L2
  REQUIRE(ring.sent_per_gpu.value() == Approx(1.75 * 67108864));
  REQUIRE(all_gather(topology, gpus, 64_MiB, kParameters).time.value() == Approx(15.5e-6 + 130.489e-6).epsilon(1e-5));
  REQUIRE(reduce_scatter(topology, gpus, 64_MiB, kParameters).sent_per_gpu.value() == Approx(0.875 * 67108864));
}

TEST_CASE("A group of one needs no collective", "[collectives]") {
  const Topology topology{cluster_of(1, 8)};
  const std::vector<int> alone{3};
  REQUIRE(all_reduce(topology, alone, 64_MiB, AllReduceAlgorithm::automatic, kParameters).time == Seconds{});
  REQUIRE(all_gather(topology, alone, 64_MiB, kParameters).sent_per_gpu == Bytes{});
}

TEST_CASE("Small messages go one-shot, large ones by the switch or a ring", "[collectives]") {
  const Topology topology{cluster_of(1, 8)};
  const auto gpus = first_gpus(8);
  const auto fastest = [&](const std::vector<int>& group, Bytes message) {
    return all_reduce(topology, group, message, AllReduceAlgorithm::automatic, kParameters);
  };
  // One-shot of 8 KiB: 4.8 us + 7 * 8192 / 450e9 = 4.93 us (measured 5.3 us).
  REQUIRE(fastest(gpus, 8_KiB).algorithm == AllReduceAlgorithm::one_shot);
  REQUIRE(fastest(gpus, 8_KiB).time.value() == Approx(4.8e-6 + 7 * 8192 / 450e9).epsilon(1e-9));
  REQUIRE(fastest(gpus, 8_KiB).sent_per_gpu == 7 * 8_KiB);
  REQUIRE(fastest(gpus, 64_MiB).algorithm == AllReduceAlgorithm::nvls);
  REQUIRE(fastest(gpus, 64_MiB).sent_per_gpu == 64_MiB);
  REQUIRE(fastest(first_gpus(4), 64_MiB).algorithm ==
          AllReduceAlgorithm::ring);  // half a node: 1.5 M < the switch's 1.75 M

  auto older = cluster_of(1, 8);
  older.gpu.nvlink = 300.0_GBps;  // NVLink 3: its switch cannot reduce
  REQUIRE(all_reduce(Topology{older}, gpus, 64_MiB, AllReduceAlgorithm::automatic, kParameters).algorithm ==
          AllReduceAlgorithm::ring);
}

TEST_CASE("Automatic is never slower than any algorithm that the group can do", "[collectives]") {
  const Topology node{cluster_of(1, 8)}, cluster{cluster_of(4, 8)};
  for (double bytes = 64; bytes < 1e9; bytes *= 3) {
    const auto time = [&](const Topology& topology, int gpus, AllReduceAlgorithm algorithm) {
      return all_reduce(topology, first_gpus(gpus), Bytes{bytes}, algorithm, kParameters).time;
    };
    for (const auto algorithm : {AllReduceAlgorithm::ring, AllReduceAlgorithm::one_shot, AllReduceAlgorithm::nvls})
      REQUIRE(time(node, 8, AllReduceAlgorithm::automatic) <= time(node, 8, algorithm));
    for (const auto algorithm : {AllReduceAlgorithm::ring, AllReduceAlgorithm::hierarchical, AllReduceAlgorithm::tree})
      REQUIRE(time(cluster, 32, AllReduceAlgorithm::automatic) <= time(cluster, 32, algorithm));
  }
}

TEST_CASE("Across nodes an all-reduce scatters inside, rings over each rail and gathers inside", "[collectives]") {
  // 4 nodes x 8, 64 MiB: inside 2 * 7/8 M / 450 GB/s = 260.979 us; rails 2 * 3/4 * M/8 / 50 GB/s = 251.658 us.
  // Latency: 15.5 us inside, and 2 * 3 RDMA hops of (20 - 15.5) / 2 us each: 29 us; 3 hops for one pass: 22.25 us.
  const Topology topology{cluster_of(4, 8)};
  const auto result = all_reduce(topology, first_gpus(32), 64_MiB, AllReduceAlgorithm::automatic, kParameters);
  REQUIRE(result.algorithm == AllReduceAlgorithm::hierarchical);
  REQUIRE(result.time.value() == Approx(29e-6 + 260.979e-6 + 251.658e-6).epsilon(1e-5));
  REQUIRE(result.sent_per_gpu.value() == Approx((1.75 + 0.1875) * 67108864));
  const auto half = all_gather(topology, first_gpus(32), 64_MiB, kParameters);
  REQUIRE(half.time.value() == Approx(22.25e-6 + (260.979e-6 + 251.658e-6) / 2).epsilon(1e-5));
}

TEST_CASE("A group on different rails of its nodes falls back to a flat ring", "[collectives]") {
  const Topology topology{cluster_of(2, 4)};
  const std::vector<int> ragged{0, 1, 4};
  REQUIRE(all_reduce(topology, ragged, 1_MiB, AllReduceAlgorithm::automatic, kParameters).algorithm ==
          AllReduceAlgorithm::ring);
  REQUIRE(all_gather(topology, ragged, 1_MiB, kParameters).algorithm == AllReduceAlgorithm::ring);
}

TEST_CASE("An algorithm that the group cannot do is refused", "[collectives]") {
  const Topology topology{cluster_of(2, 8)};
  const auto run = [&](int gpus, AllReduceAlgorithm algorithm) {
    return all_reduce(topology, first_gpus(gpus), 1_MiB, algorithm, kParameters);
  };
  REQUIRE_THROWS_WITH(
      run(16, AllReduceAlgorithm::one_shot),
      "communication.all_reduce: got one_shot for 16 GPUs on 2 nodes, expected a group inside one node; or "
      "hierarchical, ring, auto");
  REQUIRE_THROWS_AS(run(16, AllReduceAlgorithm::nvls), InputError);
  REQUIRE_THROWS_WITH(
      run(8, AllReduceAlgorithm::hierarchical),
      "communication.all_reduce: got hierarchical for 8 GPUs on 1 nodes, expected a group over several nodes "
      "with the same GPUs in each; or ring, auto");
  const std::vector<int> twice{0, 0};
  REQUIRE_THROWS_AS(all_reduce(topology, twice, 1_MiB, AllReduceAlgorithm::ring, kParameters), std::invalid_argument);
}

TEST_CASE("The link table shows what every GPU sends", "[collectives]") {
  const Topology topology{cluster_of(4, 8)};
  std::vector<double> bytes(topology.links().size(), 0.0);
  SECTION("inside a node: the same on every NVLink, up and down") {
    add_link_bytes(topology, first_gpus(8), 7_MiB, bytes);
    REQUIRE(tier_bytes(topology, bytes, Tier::nvlink) == Approx(2 * 8 * 7.0 * 1048576));
    REQUIRE(tier_bytes(topology, bytes, Tier::nic) == 0);
  }
  SECTION("across nodes: the two parts of what was sent, each up and down") {
    const auto result = all_reduce(topology, first_gpus(32), 64_MiB, AllReduceAlgorithm::automatic, kParameters);
    add_link_bytes(topology, first_gpus(32), result.sent_per_gpu, bytes);
    REQUIRE(tier_bytes(topology, bytes, Tier::nvlink) == Approx(2 * 32 * 1.75 * 67108864));
    REQUIRE(tier_bytes(topology, bytes, Tier::nic) == Approx(2 * 32 * 0.1875 * 67108864));
  }
  SECTION("one-shot: to every other GPU") {
    add_link_bytes(topology, first_gpus(8), 7_MiB, bytes, AllReduceAlgorithm::one_shot);
    REQUIRE(tier_bytes(topology, bytes, Tier::nvlink) == Approx(2 * 8 * 7.0 * 1048576));
  }
}

TEST_CASE("TP moves n/k times the bytes of EP for the same tokens (L6)", "[collectives]") {
  // Mixtral, n = 8, k = 2, bf16 both ways, no dedup, 4,096 tokens in all: ratio n/k = 4.
  const Topology topology{cluster_of(1, 8)};
  const double hidden_bytes = 2 * 4096.0, tokens = 4096;
  const auto reduce = all_reduce(topology, first_gpus(8), Bytes{tokens * hidden_bytes}, AllReduceAlgorithm::ring, {});
  // EP: each GPU's tokens/8 go k = 2 times out and back, 7/8 of them to other GPUs.
  const double ep = 2 * 2 * (7.0 / 8) * (tokens / 8) * hidden_bytes;
  REQUIRE(reduce.sent_per_gpu.value() / ep == Approx(4).epsilon(1e-12));
}

TEST_CASE("Fewer ranks of a node have a lower floor and a slower ring", "[collectives]") {
  // Behind the switch at 450 GB/s, with a floor of 15.5 us for 8 ranks. Two: 0.4 of it to sum, 0.38 + 0.62 / 4 = 0.535
  // to gather; the ring reaches 1 - 0.7 (1/2 - 1/8) = 0.7375 of its bandwidth. Eight: all of both.
  const Topology topology{cluster_of(1, 8)};
  const double whole = 67108864 / 450e9;
  const auto sum = [&](int ranks) {
    return all_reduce(topology, first_gpus(ranks), 64_MiB, AllReduceAlgorithm::ring, kParameters).time.value();
  };
  const auto gather = [&](int ranks) {
    return all_gather(topology, first_gpus(ranks), 64_MiB, kParameters).time.value();
  };
  CHECK(sum(2) == Approx(0.4 * 15.5e-6 + whole / 0.7375).epsilon(1e-9));
  CHECK(gather(2) == Approx(0.535 * 15.5e-6 + whole / 2 / 0.7375).epsilon(1e-9));
  CHECK(sum(8) == Approx(15.5e-6 + 1.75 * whole).epsilon(1e-9));
  CHECK(gather(8) == Approx(15.5e-6 + 0.875 * whole).epsilon(1e-9));
}
