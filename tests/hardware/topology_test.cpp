#include <algorithm>
#include <numeric>
#include <stdexcept>

#include "models/units/error.hpp"
#include "tests/catch_compat.hpp"
#include "tests/hardware/clusters.hpp"

using namespace moesim;
using moesim::testing::small_cluster;

namespace {

std::vector<int> gpu_range(int from, int to) {
  std::vector<int> gpus(static_cast<std::size_t>(to - from));
  std::iota(gpus.begin(), gpus.end(), from);
  return gpus;
}

int count(const Topology& topology, VertexKind kind) {
  int found = 0;
  for (const Vertex& vertex : topology.vertices()) found += vertex.kind == kind ? 1 : 0;
  return found;
}

}  // namespace

TEST_CASE("A single node has NVLinks and nothing else", "[hardware]") {
  const FabricKind kind = GENERATE(FabricKind::single_node, FabricKind::rail_optimised);
  ClusterSpec cluster = small_cluster(1);
  cluster.fabric.kind = kind;
  const Topology node{cluster};
  CHECK(node.links().size() == 16);  // 8 up, 8 down
  for (const Link& link : node.links()) CHECK(link.tier == Tier::nvlink);
  CHECK(node.leaves_per_rail() == 0);
  CHECK(count(node, VertexKind::leaf) == 0);
  CHECK(node.bisection().value() == 4 * 450e9);
}

TEST_CASE("A cluster of one GPU has no links and no bisection", "[hardware]") {
  const Topology one{small_cluster(1, 1)};
  CHECK(one.links().empty());
  CHECK(one.route(0, 0).empty());
  CHECK(one.bisection().value() == 0);
}

TEST_CASE("Tiers add up to cables times bandwidth", "[hardware]") {
  // 4 nodes x 8, one leaf per rail: 32 GPUs, each with a cable up and one down
  const auto tiers = Topology{small_cluster(4)}.capacity_per_tier();
  REQUIRE(tiers.size() == kTiers.size());
  for (const TierCapacity& tier : tiers) {
    INFO(name_of(tier.tier));
    CHECK(tier.links == (tier.tier == Tier::nvlink || tier.tier == Tier::nic ? 64 : 0));
    if (tier.tier == Tier::nvlink) CHECK(tier.total.value() == 64 * 450e9);
    if (tier.tier == Tier::nic) CHECK(tier.total.value() == 64 * 50e9);
  }
}

TEST_CASE("Nodes fill leaves evenly once one leaf has too few ports", "[hardware]") {
  // 64 ports at 1:1 are 32 down: 32 nodes need 1 leaf per rail, 33 need 2 of 17 and 16
  CHECK(Topology{small_cluster(32)}.leaves_per_rail() == 1);
  const Topology two{small_cluster(33)};
  CHECK(two.leaves_per_rail() == 2);
  CHECK(two.leaf_of(16 * 8) == 0);
  CHECK(two.leaf_of(17 * 8) == 1);
  // at 2:1 floor(64 * 2 / 3) = 42 are down
  CHECK(Topology{small_cluster(42, 8, 2)}.leaves_per_rail() == 1);
  CHECK(Topology{small_cluster(43, 8, 2)}.leaves_per_rail() == 2);
}

TEST_CASE("Spines are as few as their ports allow", "[hardware]") {
  // 40 nodes: 2 leaves x 8 rails = 16 leaves; a spine of 64 ports takes 4 cables of each; 20 uplinks need 5 spines
  const Topology topology{small_cluster(40)};
  CHECK(count(topology, VertexKind::leaf) == 16);
  CHECK(count(topology, VertexKind::spine) == 5);
  CHECK(std::count_if(topology.links().begin(), topology.links().end(),
                      [](const Link& link) { return link.tier == Tier::spine; }) == 2 * 16 * 20);
  std::vector<int> ports(topology.vertices().size(), 0);
  for (const Link& link : topology.links())
    if (link.tier != Tier::nvlink) ++ports[static_cast<std::size_t>(link.from)];
  for (std::size_t v = 0; v < ports.size(); ++v)
    if (topology.vertices()[v].kind != VertexKind::gpu) CHECK(ports[v] <= 64);
}

TEST_CASE("A fabric of rails only has no spine until rails must meet there", "[hardware]") {
  ClusterSpec cluster = small_cluster(4);
  cluster.rails = GENERATE(RailPolicy::forward, RailPolicy::pxn, RailPolicy::spine);
  CHECK((count(Topology{cluster}, VertexKind::spine) > 0) == (cluster.rails == RailPolicy::spine));
}

TEST_CASE("The bisection of nodes on full leaves is half of their NICs", "[hardware]") {
  // N / 2 nodes x 8 NICs x 50 GB/s
  const int nodes = GENERATE(2, 4, 18, 32, 40, 64);
  INFO("nodes " << nodes);
  CHECK(Topology{small_cluster(nodes)}.bisection().value() == Approx(nodes / 2 * 8 * 50e9).epsilon(1e-9));
}

TEST_CASE("Oversubscription divides the bisection of halves on different leaves", "[hardware]") {
  // 8 ports at 3:1 are 6 down, 2 up: 12 nodes of 2 GPUs are 2 leaves of 6 per rail; 6 nodes * 2 * 50 GB/s / 3
  CHECK(Topology{small_cluster(12, 2, 3, 8)}.bisection().value() == Approx(6 * 2 * 50e9 / 3).epsilon(1e-9));
  // 16 ports at 1.5:1 are 9 down: 18 nodes are 2 leaves of 9 with 6 uplinks
  CHECK(Topology{small_cluster(18, 8, 1.5, 16)}.bisection().value() == Approx(9 * 8 * 50e9 / 1.5).epsilon(1e-9));
  // not a whole number of uplinks: 7 nodes at 2:1 are 4 cables of 7 / 8 of a NIC
  CHECK(Topology{small_cluster(14, 3, 2, 12)}.bisection().value() == Approx(7 * 3 * 50e9 / 2).epsilon(1e-9));
}

TEST_CASE("Spraying changes no cut", "[hardware]") {
  ClusterSpec cluster = small_cluster(12, 4, 3, 8);
  const BytesPerSecond hashed = Topology{cluster}.bisection();
  cluster.spread = SpreadPolicy::spray;
  CHECK(Topology{cluster}.bisection().value() == Approx(hashed.value()).epsilon(1e-9));
}

TEST_CASE("A minimum cut is the narrowest place, worked by hand", "[hardware]") {
  const Topology node{small_cluster(1)};
  const std::vector<int> first{0}, second{1};
  CHECK(node.min_cut(first, second).value() == 450e9);  // one GPU: its NVLink
  const std::vector<int> pair{0, 1};
  CHECK(node.min_cut(pair, gpu_range(2, 8)).value() == 900e9);

  const Topology lonely{small_cluster(4, 1)};  // one GPU per node: its NIC
  CHECK(lonely.min_cut(first, gpu_range(1, 4)).value() == 50e9);

  const Topology cluster{small_cluster(4)};
  // a node's way out: 8 NICs
  CHECK(cluster.min_cut(gpu_range(0, 8), gpu_range(8, 32)).value() == 400e9);
  // one GPU to another node: own NIC and, over NVLink, the other seven
  CHECK(cluster.min_cut(first, gpu_range(8, 16)).value() == 400e9);
  // to a neighbour: NVLink, and the NIC around through another node
  CHECK(cluster.min_cut(first, second).value() == 500e9);
}

TEST_CASE("Cuts are symmetric and grow with the NIC", "[hardware]") {
  ClusterSpec cluster = small_cluster(12, 4, 3, 8);
  const auto cut = [&](double nic, bool backwards) {
    cluster.fabric.nic = BytesPerSecond{nic};
    const Topology topology{cluster};
    const std::vector<int> a = gpu_range(0, 8), b = gpu_range(20, 48);
    return (backwards ? topology.min_cut(b, a) : topology.min_cut(a, b)).value();
  };
  CHECK(cut(50e9, false) == cut(50e9, true));
  CHECK(cut(25e9, false) < cut(50e9, false));
}

TEST_CASE("A cut with an empty side, an overlap or an unknown GPU is the caller's mistake", "[hardware]") {
  const Topology node{small_cluster(1)};
  const std::vector<int> none, some{0, 1}, unknown{8};
  REQUIRE_THROWS_AS(node.min_cut(none, some), std::invalid_argument);
  REQUIRE_THROWS_WITH(node.min_cut(some, some), "GPU 0 is on both sides of a cut");
  REQUIRE_THROWS_WITH(node.min_cut(some, unknown), "GPU 8 of 8");
  REQUIRE_THROWS_WITH(node.route(0, -1), "GPU -1 of 8");
}

TEST_CASE("Clusters that cannot be built are refused by the key to change", "[hardware]") {
  const auto refusal = [](auto change) {
    ClusterSpec cluster = small_cluster(4);
    change(cluster);
    try {
      const Topology topology{cluster};
    } catch (const InputError& error) {
      return std::string{error.what()};
    }
    return std::string{"built"};
  };
  CHECK(refusal([](ClusterSpec&) {}) == "built");
  CHECK(refusal([](ClusterSpec& c) { c.nodes = 0; }) == "cluster.nodes: got 0, expected at least 1");
  CHECK(refusal([](ClusterSpec& c) { c.gpus_per_node = 0; }) == "cluster.gpus_per_node: got 0, expected at least 1");
  CHECK(refusal([](ClusterSpec& c) { c.fabric.kind = FabricKind::single_node; }) ==
        "cluster.fabric.kind: got single_node for 4 nodes, expected rail-optimised");
  CHECK(refusal([](ClusterSpec& c) { c.fabric.nic = BytesPerSecond{0}; }) ==
        "cluster.fabric.nic: got 0 B/s, expected from 1 Mb/s to 100 TB/s, as there are several nodes");
  CHECK(refusal([](ClusterSpec& c) { c.fabric.oversubscription = 0.5; }) ==
        "cluster.fabric.oversubscription: got 0.5, expected at least 1");
  CHECK(refusal([](ClusterSpec& c) { c.fabric.switch_ports = 1; }) ==
        "cluster.fabric.switch_ports: got 1, expected at least 2");
  CHECK(refusal([](ClusterSpec& c) { c.fabric.switch_name = "qm8700"; }) ==
        "cluster.fabric.nic: got 50 GB/s, expected at most 25 GB/s, the port of switch qm8700");
  CHECK(refusal([](ClusterSpec& c) { c.nodes = 2000; }) ==
        "cluster.nodes: a cluster of 2000 x 8 GPUs is not modelled yet; use at most 8192 GPUs, as the routes of all "
        "pairs are held");
  CHECK(refusal([](ClusterSpec& c) { c.nodes = 300; }) ==
        "cluster.nodes: a third switch tier (80 leaves on spines of 64 ports) is not modelled yet; use fewer nodes, "
        "switches with more ports (cluster.fabric.switch_ports), more oversubscription, spine planes (multi-rail), or "
        "a fat-tree with tiers 3");
}
