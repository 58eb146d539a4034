#include "sim/engine/flow_replay.hpp"

#include "models/collectives/collectives.hpp"
#include "models/units/error.hpp"
#include "sim/engine/clock.hpp"
#include "tests/catch_compat.hpp"
#include "tests/engine/random_collectives.hpp"
#include "tests/traffic/clusters.hpp"

using namespace moesim;
using namespace moesim::testing;

namespace {

constexpr Seconds kQuantum{1e-9};

Flow flow(const Topology& topology, int src, int dst, double bytes) {
  const auto route = topology.route(src, dst);
  return {src, dst, Bytes{bytes}, {route.begin(), route.end()}};
}

}  // namespace

TEST_CASE("A flow alone has its narrowest link", "[engine]") {
  // 50 MB over NICs of 50 GB/s: 1 ms; 45 MB over NVLinks of 450 GB/s: 0.1 ms.
  const Topology topology{cluster_of(2, 2)};
  const std::vector<Flow> flows{flow(topology, 0, 2, 50e6), flow(topology, 0, 1, 45e6)};
  const auto replay = replay_flows(topology, flows, kQuantum);
  REQUIRE(replay.finish[0].value() == Approx(1e-3).epsilon(1e-6));
  REQUIRE(replay.finish[1].value() == Approx(0.1e-3).epsilon(1e-6));
  REQUIRE(replay.makespan == replay.finish[0]);
}

TEST_CASE("Two flows into one NIC share it evenly however long their ways are (latency trap)", "[engine]") {
  // With link latencies CM02 would give a flow of 9 us a ninth of one of 1 us: 5 against 45 GB/s. From the own leaf two
  // hops, from the other leaf four: 25 MB each at 25 GB/s end together after 1 ms.
  const Topology topology{cluster_of(8, 1, RailPolicy::forward, SpreadPolicy::spray, 8)};
  const int near = 1, far = 7;
  REQUIRE(topology.route(near, 0).size() < topology.route(far, 0).size());
  const std::vector<Flow> flows{flow(topology, near, 0, 25e6), flow(topology, far, 0, 25e6)};
  const auto replay = replay_flows(topology, flows, kQuantum);
  REQUIRE(replay.finish[0].value() == Approx(1e-3).epsilon(1e-6));
  REQUIRE(replay.finish[1].value() == Approx(1e-3).epsilon(1e-6));
}

TEST_CASE("Bytes on the way back cost nothing (cross-traffic trap)", "[engine]") {
  // SimGrid's default charges 5 % of a flow to the reverse route. Both directions at once: still 1 ms each.
  const Topology topology{cluster_of(2, 1)};
  const std::vector<Flow> flows{flow(topology, 0, 1, 50e6), flow(topology, 1, 0, 50e6)};
  REQUIRE(replay_flows(topology, flows, kQuantum).makespan.value() == Approx(1e-3).epsilon(1e-6));
}

TEST_CASE("A link at half its bandwidth takes twice the time", "[engine]") {
  auto cluster = cluster_of(2, 1);
  const Topology healthy{cluster};
  const std::vector<Flow> flows{flow(healthy, 0, 1, 50e6)};
  const Seconds before = replay_flows(healthy, flows, kQuantum).makespan;
  cluster.fabric.nic = 25.0_GBps;
  const Topology degraded{cluster};
  REQUIRE(replay_flows(degraded, flows, kQuantum).makespan.value() == Approx(2 * before.value()).epsilon(1e-6));

  const CollectiveParameters half{.latency_intra = {},
                                  .latency_inter = {},
                                  .nvlink_efficiency = 1,
                                  .nic_efficiency = 0.5,
                                  .latency_per_peer = {},
                                  .source = {}};
  REQUIRE(replay_flows(healthy, flows, kQuantum, half).makespan.value() == Approx(2 * before.value()).epsilon(1e-6));
}

TEST_CASE("Flows of zero bytes and of a GPU to itself are skipped", "[engine]") {
  const Topology topology{cluster_of(1, 2)};
  const std::vector<Flow> flows{flow(topology, 0, 1, 0), {1, 1, 1_MiB, {}}, flow(topology, 1, 0, 450e6)};
  const auto replay = replay_flows(topology, flows, kQuantum);
  REQUIRE(replay.finish[0] == Seconds{});
  REQUIRE(replay.finish[1] == Seconds{});
  REQUIRE(replay.finish[2].value() == Approx(1e-3).epsilon(1e-6));
  const auto nothing = replay_flows(topology, std::span{flows}.first(2), kQuantum);
  REQUIRE(nothing.makespan == Seconds{});
  REQUIRE(nothing.finish.size() == 2);
}

TEST_CASE("Fractions of a byte are kept", "[engine]") {
  // Expected bytes are not whole: half a byte more of one in a thousand shows as 0.05 %.
  const Topology topology{cluster_of(1, 2)};
  const std::vector<Flow> whole{flow(topology, 0, 1, 1000)}, more{flow(topology, 0, 1, 1000.5)};
  const Seconds a = replay_flows(topology, whole, Seconds{}).makespan,
                b = replay_flows(topology, more, Seconds{}).makespan;
  REQUIRE(b / a == Approx(1.0005).epsilon(1e-5));
}

TEST_CASE("Two flows of one pair share its route", "[engine]") {
  // 10 and 30 MB over one NIC: the first ends at 0.4 ms, the second at 0.8 ms.
  const Topology topology{cluster_of(2, 1)};
  const std::vector<Flow> flows{flow(topology, 0, 1, 10e6), flow(topology, 0, 1, 30e6)};
  const auto replay = replay_flows(topology, flows, kQuantum);
  REQUIRE(replay.finish[0].value() == Approx(0.4e-3).epsilon(1e-6));
  REQUIRE(replay.finish[1].value() == Approx(0.8e-3).epsilon(1e-6));
}

TEST_CASE("Flows that SimGrid could not route as asked are refused", "[engine]") {
  const Topology topology{cluster_of(2, 2)};
  std::vector<Flow> flows{flow(topology, 0, 1, 1e6), flow(topology, 0, 1, 1e6)};
  flows[1].links = {0};
  REQUIRE_THROWS_WITH(replay_flows(topology, flows, kQuantum),
                      "two flows 0 -> 1 over different links: a SimGrid pair has one route");
  const std::vector<Flow> unknown{{0, 9, 1_MiB, {0}}};
  REQUIRE_THROWS_AS(replay_flows(topology, unknown, kQuantum), std::invalid_argument);
  REQUIRE_THROWS_WITH(replay_flows(topology, std::span{flows}.first(1), Seconds{-1}), "a quantum of -1 s");
}

TEST_CASE("A coarse quantum moves the makespan by no more than a part in a hundred", "[engine]") {
  // The quantum is held to a thousandth of the fluid bound, whatever is asked; ends merge round after round.
  const auto collective = random_collective(Pattern::continuous, 3);
  const Seconds fine = replay_flows(collective.topology, collective.flows, Seconds{}).makespan;
  const Seconds coarse = replay_flows(collective.topology, collective.flows, 1.0_s).makespan;
  REQUIRE(coarse.value() == Approx(fine.value()).epsilon(0.01));
}

TEST_CASE("A replay is bit-identical from process to process (L38)", "[engine]") {
  const auto collective = random_collective(Pattern::skewed, 5);
  const auto first = replay_flows(collective.topology, collective.flows, kQuantum);
  const auto second = replay_flows(collective.topology, collective.flows, kQuantum);
  REQUIRE(first.makespan == second.makespan);
  REQUIRE(first.finish == second.finish);
}

TEST_CASE("A replay works after a simulation of the same process", "[engine]") {
  const Topology topology{cluster_of(1, 2)};
  const std::vector<Flow> flows{flow(topology, 0, 1, 450e6)};
  const Seconds before = replay_flows(topology, flows, kQuantum).makespan;
  run_actors({{"simulation", [](Clock& clock) { clock.advance(100.0_s); }}});
  REQUIRE(replay_flows(topology, flows, kQuantum).makespan.value() == Approx(before.value()).epsilon(1e-9));
}

TEST_CASE("A GPU that starts later shares its link from then on", "[engine]") {
  // Two flows of 50 GB into one 50 GB/s NIC, the second from 0.4 s: the first has 20 GB by then, both share, the first
  // ends at 0.4 + 30 / 25 = 1.6 s and the second, with 20 GB left, at 2.0 s.
  const Topology topology{testing::cluster_of(3, 1)};
  const auto flow = [&](int src) {
    const auto route = topology.route(src, 2);
    return Flow{src, 2, Bytes{50e9}, {route.begin(), route.end()}};
  };
  const std::vector<Flow> flows{flow(0), flow(1)};
  const std::vector<Seconds> start{Seconds{0}, Seconds{0.4}, Seconds{0}};
  const FlowReplay replay = replay_flows(topology, flows, Seconds{1e-9}, {}, start);
  CHECK(replay.finish[0].value() == Approx(1.6).epsilon(1e-6));
  CHECK(replay.finish[1].value() == Approx(2.0).epsilon(1e-6));
  CHECK(replay.makespan.value() == Approx(2.0).epsilon(1e-6));
  CHECK_THROWS_AS(replay_flows(topology, flows, Seconds{1e-9}, {}, std::vector<Seconds>(1)), std::invalid_argument);
}
