// Dragonfly and torus, against closed forms.

#include <map>
#include <set>

#include "tests/hardware/fabric_checks.hpp"

using namespace moesim;
using namespace moesim::testing;

namespace {

ClusterSpec dragonfly(int groups, int routers, int nodes_per_router, int global_links = 0) {
  ClusterSpec cluster = of_kind(FabricKind::dragonfly, groups * routers * nodes_per_router);
  cluster.fabric.groups = groups;
  cluster.fabric.routers = routers;
  cluster.fabric.global_links = global_links;
  return cluster;
}

}  // namespace

TEST_CASE("The bisection of a dragonfly is its global cables between the halves", "[hardware]") {
  // g groups of a routers with h = 1: a / (g - 1) cables between each two groups, (g / 2)^2 pairs of groups. Each
  // router has 8 nodes, so that nothing but the global cables is narrow.
  struct Case {
    int groups, routers, global;
  };
  const Case c = GENERATE(Case{4, 3, 1}, Case{4, 4, 0}, Case{6, 5, 2}, Case{2, 2, 1});
  const Topology topology{dragonfly(c.groups, c.routers, 8, c.global)};
  INFO(c.groups << " groups of " << c.routers << " routers with " << c.global << " global links");
  const int global = c.global > 0 ? c.global : 1, cables = c.routers * global / (c.groups - 1);
  CHECK(topology.bisection().value() == Approx(c.groups * c.groups / 4.0 * cables * 50e9).epsilon(1e-9));
  CHECK(capacity(topology, Tier::global) == Approx(c.groups * (c.groups - 1) * cables * 50e9));
  CHECK(capacity(topology, Tier::local) == Approx(c.groups * c.routers * (c.routers - 1) * 50e9));
  check_routes(topology);
  check_names(topology);
}

TEST_CASE("Dragonfly routes are minimal: at most one global cable and one local one on each side", "[hardware]") {
  const Topology topology{dragonfly(9, 4, 2, 2)};  // the balanced one: a = 2h, g = ah + 1
  for (int src = 0; src < topology.gpus(); ++src)
    for (int dst = 0; dst < topology.gpus(); ++dst) {
      std::map<Tier, int> crossed;
      for (const LinkId link : topology.route(src, dst))
        ++crossed[topology.links()[static_cast<std::size_t>(link)].tier];
      REQUIRE(crossed[Tier::global] == (src / 8 == dst / 8 ? 0 : 1));
      REQUIRE(crossed[Tier::local] <= (src / 8 == dst / 8 ? 1 : 2));
    }
}

TEST_CASE("A dragonfly that does not add up is refused by the key to change", "[hardware]") {
  CHECK(refusal(dragonfly(0, 2, 1)).find("cluster.nodes") != std::string::npos);
  ClusterSpec cluster = dragonfly(4, 3, 2);
  cluster.fabric.groups = 0;
  CHECK(
      refusal(cluster) ==
      "cluster.fabric.groups: got 0 groups of 3 routers, expected cluster.fabric.groups and cluster.fabric.routers of "
      "at least 1 for a dragonfly");
  cluster.fabric.groups = 9;
  CHECK(refusal(cluster) == "cluster.fabric.groups: got 9 x 3 routers for 24 nodes, expected a node for each router");
  cluster = dragonfly(8, 3, 2, 2);
  CHECK(refusal(cluster) ==
        "cluster.fabric.global_links: got 2, expected at least 3, so that 3 routers reach 7 other groups");
  cluster = dragonfly(4, 3, 2);
  cluster.fabric.switch_ports = 4;
  CHECK(refusal(cluster) ==
        "cluster.fabric.switch_ports: got 4, expected at least 5: 2 NICs, 2 routers of the group, 1 global links");
  cluster = dragonfly(4, 3, 2);
  cluster.spread = SpreadPolicy::spray;
  CHECK(refusal(cluster) == "communication.spread: spray on a dragonfly fabric is not modelled yet; use ecmp");
}

TEST_CASE("The bisection of a torus is two cables for each of its columns", "[hardware]") {
  // width x height, halves are rows; the ring of a column is cut twice, of a height of 2 once
  struct Case {
    int width, height;
  };
  const Case c = GENERATE(Case{4, 4}, Case{2, 4}, Case{3, 8}, Case{1, 6}, Case{4, 2});
  ClusterSpec cluster = of_kind(FabricKind::torus, c.width * c.height);
  cluster.fabric.width = c.width;
  cluster.fabric.link = BytesPerSecond{10e9};  // narrower than the NICs
  const Topology topology{cluster};
  INFO(c.width << " x " << c.height);
  CHECK(topology.bisection().value() == Approx((c.height > 2 ? 2 : 1) * c.width * 10e9).epsilon(1e-9));
  const auto ring = [](int n) { return n > 2 ? n : n - 1; };
  CHECK(capacity(topology, Tier::torus) ==
        Approx(2 * 10e9 * (c.height * ring(c.width) + c.width * ring(c.height))).epsilon(1e-12));
  check_routes(topology);
}

TEST_CASE("Torus routes go dimension by dimension, the shorter way round", "[hardware]") {
  ClusterSpec cluster = of_kind(FabricKind::torus, 30);
  cluster.fabric.width = 5;  // 5 x 6
  const Topology topology{cluster};
  CHECK(names(topology, 0, 6 * 4 + 5) ==  // node 29 is (4, 5): one back in x, one back in y
        Names{"n0g0 -> r0.0", "r0.0 -> r4.0", "r4.0 -> r4.5", "r4.5 -> n29g0"});
  for (int src = 0; src < 30; ++src)
    for (int dst = 0; dst < 30; ++dst) {
      const auto apart = [](int a, int b, int ring) { return std::min((a - b + ring) % ring, (b - a + ring) % ring); };
      const int hops = apart(src % 5, dst % 5, 5) + apart(src / 5, dst / 5, 6);
      REQUIRE(static_cast<int>(topology.route(src, dst).size()) == (src == dst ? 0 : hops + 2));
    }
  std::set<LinkId> half_way;  // (0, 0) -> (x, 3) may go up or down, decided by the flow
  for (int x = 0; x < 5; ++x)
    for (int y = 0; y < 6; ++y) half_way.insert(topology.route(5 * y + x, 5 * ((y + 3) % 6) + x)[1]);
  CHECK(half_way.size() > 15);
  CHECK(half_way.size() <= 30);
}

TEST_CASE("A torus whose width does not divide the nodes is refused; the default is the squarest", "[hardware]") {
  ClusterSpec cluster = of_kind(FabricKind::torus, 12);
  CHECK(Topology{cluster}.bisection().value() == Approx(2 * 3 * 50e9));  // 3 x 4
  cluster.fabric.width = 5;
  CHECK(refusal(cluster) == "cluster.fabric.width: got 5, expected a divisor of the 12 nodes; did you mean 4 or 6?");
}
