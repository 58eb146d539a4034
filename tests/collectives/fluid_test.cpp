#include <algorithm>

#include "models/collectives/collectives.hpp"
#include "tests/catch_compat.hpp"
#include "tests/traffic/clusters.hpp"

using namespace moesim;
using namespace moesim::testing;

namespace {

const CollectiveParameters kIdeal{};

/// Every rank sends `bytes` to each rank for which `sends(src, dst)` holds.
template <class Sends>
std::vector<double> loads(const Topology& topology, double bytes, Sends sends) {
  TrafficMatrix traffic{topology.gpus()};
  for (int src = 0; src < topology.gpus(); ++src)
    for (int dst = 0; dst < topology.gpus(); ++dst)
      if (src != dst && sends(src, dst)) traffic.at(src, dst) = bytes;
  std::vector<double> out(topology.links().size(), 0.0);
  RouteLoads{topology, topology.gpus()}.add(traffic, out);
  return out;
}

double random_between(Random& random, double low, double high) {
  return low + (high - low) * random.uniform();
}

}  // namespace

TEST_CASE("Ring formulas are the closed forms (L1, L2, L3)", "[collectives]") {
  // 7/8 * 67,108,864 B / 450e9 B/s = 130.489 us
  REQUIRE(uniform_all_to_all(8, 64_MiB, 450.0_GBps).value() == Approx(7.0 / 8 * 67108864 / 450e9).epsilon(1e-9));
  REQUIRE(uniform_all_to_all(8, 64_MiB, 450.0_GBps).value() == Approx(130.489e-6).epsilon(1e-5));
  REQUIRE(uniform_all_to_all(8, 256_MiB, 450.0_GBps).value() == Approx(521.958e-6).epsilon(1e-5));
  REQUIRE(ring_all_reduce(8, 64_MiB, 450.0_GBps, 0.0_us).value() ==
          Approx(2 * 7.0 / 8 * 67108864 / 450e9).epsilon(1e-9));
  REQUIRE(ring_all_reduce(8, 64_MiB, 450.0_GBps, 0.0_us).value() == Approx(260.979e-6).epsilon(1e-5));
  REQUIRE(ring_all_reduce(8, 64_MiB, 450.0_GBps, 1.0_us).value() == Approx(274.979e-6).epsilon(1e-5));  // + 14 hops
  REQUIRE(ring_all_gather(8, 64_MiB, 450.0_GBps, 1.0_us).value() == Approx(137.489e-6).epsilon(1e-5));  // + 7 hops
  REQUIRE(ring_reduce_scatter(8, 64_MiB, 450.0_GBps, 1.0_us) == ring_all_gather(8, 64_MiB, 450.0_GBps, 1.0_us));
  REQUIRE(ring_all_reduce(1, 64_MiB, 450.0_GBps, 1.0_us) == Seconds{});
  REQUIRE_THROWS_WITH(ring_all_reduce(0, 64_MiB, 450.0_GBps, 1.0_us), "a ring of 0 ranks");
}

TEST_CASE("A uniform all-to-all behind a switch takes what its busiest link takes (L1)", "[collectives]") {
  const Topology topology{cluster_of(1, 8)};
  const auto bytes = loads(topology, 64.0 * 1048576 / 8, [](int, int) { return true; });
  REQUIRE(fluid_time(bytes, topology, kIdeal).time.value() == Approx(7.0 / 8 * 67108864 / 450e9).epsilon(1e-9));
}

TEST_CASE("Incast is bound by the receiver's link (L10)", "[collectives]") {
  // 7 senders on other nodes, M = 1 MB each, one NIC of 50 GB/s: 7 * 20 us.
  const Topology topology{cluster_of(8, 1)};
  const auto bytes = loads(topology, 1e6, [](int, int dst) { return dst == 0; });
  const auto result = fluid_time(bytes, topology, kIdeal);
  REQUIRE(result.time.value() == Approx(140e-6).epsilon(1e-9));
  const Link& busiest = topology.links()[static_cast<std::size_t>(result.busiest)];
  REQUIRE(busiest.tier == Tier::nic);
  REQUIRE(busiest.to == 0);
}

TEST_CASE("Oversubscription multiplies the time of cross-leaf traffic (L12)", "[collectives]") {
  // 8 nodes of one GPU on switches of 8 ports: two leaves of four nodes, with uplinks for 4/o of them.
  const double o = GENERATE(1.0, 2.0, 3.0);
  auto cluster = cluster_of(8, 1, RailPolicy::forward, SpreadPolicy::spray, 8);
  cluster.fabric.oversubscription = o;
  const Topology topology{cluster};
  REQUIRE(topology.leaves_per_rail() == 2);
  const auto time = [&](auto sends) { return fluid_time(loads(topology, 1e6, sends), topology, kIdeal).time.value(); };

  // Each GPU sends 4 MB to the other leaf, 80 us on its NIC of 50 GB/s; the uplinks need o times as long.
  const auto crosses = [&](int src, int dst) { return topology.leaf_of(src) != topology.leaf_of(dst); };
  REQUIRE(time(crosses) == Approx(80e-6 * o).epsilon(1e-9));
  // All to all: 7 MB on each NIC, 140 us; the crossing half of the 8 MB buffer takes o * 80 us on the uplinks.
  REQUIRE(time([](int, int) { return true; }) == Approx(std::max(140e-6, 80e-6 * o)).epsilon(1e-9));
}

TEST_CASE("The latency is the NICs' as soon as one carries a byte", "[collectives]") {
  const Topology topology{cluster_of(2, 2)};
  const CollectiveParameters parameters{
      .latency_intra = 3.0_us, .latency_inter = 10.0_us, .latency_per_peer = {}, .source = {}};
  const FluidTimer timer{topology, parameters};
  const auto inside =
      loads(topology, 450e3, [&](int src, int dst) { return topology.node_of(src) == topology.node_of(dst); });
  REQUIRE(timer(inside).time.value() == Approx(4e-6));  // 3 us + 450 kB / 450 GB/s
  REQUIRE(timer(inside).latency == 3.0_us);
  const auto across = loads(topology, 50e3, [](int src, int dst) { return src == 0 && dst == 2; });
  REQUIRE(timer(across).time.value() == Approx(11e-6));
  REQUIRE(timer(across).latency == 10.0_us);

  const auto nothing = timer(std::vector<double>(topology.links().size(), 0.0));
  REQUIRE(nothing.time == Seconds{});
  REQUIRE(nothing.busiest == -1);
  REQUIRE_THROWS_WITH(timer(std::vector<double>(3, 0.0)), "bytes of 3 links, expected 16");
}

TEST_CASE("Efficiencies act on their own tier", "[collectives]") {
  const Topology topology{cluster_of(2, 1)};
  const auto across = loads(topology, 50e3, [](int src, int) { return src == 0; });  // 1 us at line rate
  const CollectiveParameters half_nic{.latency_intra = {},
                                      .latency_inter = {},
                                      .nvlink_efficiency = 1,
                                      .nic_efficiency = 0.5,
                                      .latency_per_peer = {},
                                      .source = {}};
  const CollectiveParameters half_nvlink{.latency_intra = {},
                                         .latency_inter = {},
                                         .nvlink_efficiency = 0.5,
                                         .nic_efficiency = 1,
                                         .latency_per_peer = {},
                                         .source = {}};
  REQUIRE(fluid_time(across, topology, half_nic).time.value() == Approx(2e-6));
  REQUIRE(fluid_time(across, topology, half_nvlink).time.value() == Approx(1e-6));
}

TEST_CASE("Scaling every bandwidth by c scales the time by 1/c, and a faster link is never slower (L36, L37)",
          "[collectives]") {
  for (std::uint32_t seed = 1; seed <= 20; ++seed) {
    INFO("seed " << seed);
    Random random{seed, Purpose::test, 3, 0};
    auto cluster = cluster_of(4, 4);
    const Topology slow{cluster};
    std::vector<double> bytes;
    for (std::size_t link = 0; link < slow.links().size(); ++link) bytes.push_back(random_between(random, 0, 1e6));
    const double before = fluid_time(bytes, slow, kIdeal).time.value();

    const double c = random_between(random, 1, 3);
    cluster.fabric.nic = c * cluster.fabric.nic;
    REQUIRE(fluid_time(bytes, Topology{cluster}, kIdeal).time.value() <= before);
    cluster.gpu.nvlink = c * cluster.gpu.nvlink;
    REQUIRE(fluid_time(bytes, Topology{cluster}, kIdeal).time.value() == Approx(before / c).epsilon(1e-9));
  }
}

TEST_CASE("The Insights paper's bound on time per output token (L24)", "[collectives]") {
  // 32 tokens per GPU, each to 9 experts (8 routed, 1 shared) on other GPUs, 7,000 values: 1 byte out and 2 bytes back.
  // 3 * 32 * 9 * 7000 B / 50 GB/s = 120.96 us; two micro-batches, 61 layers: 14.76 ms, 67.8 tokens/s.
  const auto bound = [](const Topology& topology) {
    TrafficMatrix dispatch{topology.gpus()}, combine{topology.gpus()};
    for (int src = 0; src < topology.gpus(); ++src)
      for (int i = 1; i <= 9; ++i) {
        dispatch.at(src, (src + i) % topology.gpus()) += 32 * 7000.0;
        combine.at((src + i) % topology.gpus(), src) += 32 * 2 * 7000.0;
      }
    const RouteLoads routes{topology, topology.gpus()};
    Seconds total;
    for (const TrafficMatrix* traffic : {&dispatch, &combine}) {
      std::vector<double> bytes(topology.links().size(), 0.0);
      routes.add(*traffic, bytes);
      total += fluid_time(bytes, topology, kIdeal).time;
    }
    return total;
  };
  const Seconds nic = bound(Topology{cluster_of(10, 1)});
  REQUIRE(nic.value() == Approx(120.96e-6).epsilon(1e-9));
  REQUIRE(2 * 61 * nic.value() == Approx(14.76e-3).epsilon(1e-3));
  REQUIRE(1 / (2 * 61 * nic.value()) == Approx(67.8).epsilon(1e-3));

  auto nvl72 = cluster_of(1, 10);
  nvl72.gpu.nvlink = 900.0_GBps;
  REQUIRE(bound(Topology{nvl72}).value() == Approx(6.72e-6).epsilon(1e-3));
  REQUIRE(1 / (2 * 61 * bound(Topology{nvl72}).value()) == Approx(1220).epsilon(1e-3));
}
