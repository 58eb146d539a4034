// Nodes, trees and rails beyond the default, against closed forms.

#include <set>

#include "tests/hardware/fabric_checks.hpp"

using namespace moesim;
using namespace moesim::testing;

namespace {

ClusterSpec fat_tree(int nodes, int gpus_per_node, int ports, int tiers, double oversubscription = 1) {
  ClusterSpec cluster = of_kind(FabricKind::fat_tree, nodes, gpus_per_node);
  cluster.fabric.switch_ports = ports;
  cluster.fabric.tiers = tiers;
  cluster.fabric.oversubscription = oversubscription;
  return cluster;
}

}  // namespace

TEST_CASE("A PCIe node routes by switch and root complex, and the root is its bisection", "[hardware]") {
  ClusterSpec cluster = small_cluster(1);
  cluster.gpu.nvlink = BytesPerSecond{0};
  cluster.gpu.pcie = BytesPerSecond{32e9};
  cluster.links = NodeLinks::pcie;
  const Topology node{cluster};
  CHECK(names(node, 0, 3) == Names{"n0g0 -> n0 pcie0", "n0 pcie0 -> n0g3"});
  CHECK(names(node, 0, 4) ==
        Names{"n0g0 -> n0 pcie0", "n0 pcie0 -> n0 root", "n0 root -> n0 pcie1", "n0 pcie1 -> n0g4"});
  CHECK(capacity(node, Tier::pcie) == (8 + 2) * 2 * 32e9);
  CHECK(capacity(node, Tier::nvlink) == 0);
  // four GPUs below each switch, each switch with one x16 to the root
  CHECK(node.bisection().value() == 32e9);
  cluster.gpus_per_pcie_switch = 8;
  CHECK(Topology{cluster}.bisection().value() == 4 * 32e9);  // one switch, no root
  cluster.gpu.pcie = BytesPerSecond{0};
  CHECK(refusal(cluster) ==
        "cluster.gpu.pcie: got 0 B/s, expected more than zero, as the GPUs of a node are joined by PCIe");
}

TEST_CASE("The NICs of PCIe nodes share the GPU's PCIe link with its neighbours' traffic", "[hardware]") {
  ClusterSpec cluster = small_cluster(2, 4);
  cluster.gpu.pcie = BytesPerSecond{32e9};
  cluster.links = NodeLinks::pcie;
  cluster.fabric.nic = BytesPerSecond{25e9};
  const Topology topology{cluster};
  CHECK(names(topology, 0, 4) == Names{"n0g0 -> n0 pcie0", "n0 pcie0 -> n0 nic0", "n0 nic0 -> leaf0.0",
                                       "leaf0.0 -> n1 nic0", "n1 nic0 -> n1 pcie0", "n1 pcie0 -> n1g0"});
  check_routes(topology);
}

TEST_CASE("A mesh has a link per pair of GPUs and no switch", "[hardware]") {
  ClusterSpec cluster = small_cluster(1);
  cluster.gpu.nvlink = BytesPerSecond{448e9};  // 7 links of 64 GB/s
  cluster.links = NodeLinks::mesh;
  const Topology node{cluster};
  CHECK(names(node, 2, 5) == Names{"n0g2 -> n0g5"});
  CHECK(node.links().size() == 8 * 7);
  CHECK(node.links()[0].capacity.value() == 64e9);
  CHECK(count(node, VertexKind::nvswitch) == 0);
  CHECK(node.bisection().value() == 4 * 4 * 64e9);  // each of 4 GPUs to each of the other 4
  const std::vector<int> one{0}, other{1};
  CHECK(node.min_cut(one, other).value() == 448e9);  // direct, and around over six others
  cluster.gpus_per_node = 4;
  CHECK(Topology{cluster}.links()[0].capacity.value() == 64e9);  // half of the links are not used
  cluster.gpus_per_node = 9;
  CHECK(refusal(cluster) ==
        "cluster.gpus_per_node: got 9, expected at most 8: a GPU of the mesh has links to 7 others");
}

TEST_CASE("A fat tree puts all NICs of a node on one leaf", "[hardware]") {
  // 16 ports at 1:1 are 8 down: 2 nodes of 4 to a leaf, 8 nodes are 4 leaves of 8 uplinks; a spine takes 4 x 4: 2
  // spines
  const Topology topology{fat_tree(8, 4, 16, 2)};
  CHECK(topology.leaves_per_rail() == 4);
  CHECK(count(topology, VertexKind::spine) == 2);
  for (int gpu = 0; gpu < topology.gpus(); ++gpu) REQUIRE(topology.leaf_of(gpu) == gpu / 8);
  CHECK(names(topology, 0, 5) == Names{"n0g0 -> leaf0", "leaf0 -> n1g1"});  // the next node, another index
  CHECK(topology.route(0, 9).size() == 4);
  check_routes(topology);
  check_names(topology);
}

TEST_CASE("The bisection of a fat tree is half of its NICs over the oversubscription", "[hardware]") {
  const int tiers = GENERATE(2, 3);
  const double o = GENERATE(1.0, 3.0);
  // 8 ports: 4 (o = 1) or 6 (o = 3) down, one GPU a node: 24 nodes are 6 or 4 leaves, of which whole ones are in each
  // half
  const Topology topology{fat_tree(24, 1, 8, tiers, o)};
  INFO("tiers " << tiers << ", oversubscription " << o);
  CHECK(topology.bisection().value() == Approx(12 * 50e9 / o).epsilon(1e-9));
  check_routes(topology);
  check_names(topology);
}

TEST_CASE("A full three-tier fat tree of P ports joins P^3 / 4 GPUs at full bandwidth", "[hardware]") {
  // P = 8: 4 NICs a leaf, 4 leaves and 4 spines a pod, 8 pods, 16 cores: 128 GPUs
  const Topology topology{fat_tree(128, 1, 8, 3)};
  CHECK(count(topology, VertexKind::leaf) == 32);
  CHECK(count(topology, VertexKind::spine) == 32);
  CHECK(count(topology, VertexKind::core) == 16);
  CHECK(capacity(topology, Tier::spine) == 2 * 128 * 50e9);
  CHECK(capacity(topology, Tier::core) == 2 * 128 * 50e9);
  CHECK(topology.bisection().value() == Approx(64 * 50e9).epsilon(1e-9));
  CHECK(topology.route(0, 1).size() == 2);    // one leaf
  CHECK(topology.route(0, 4).size() == 4);    // one pod
  CHECK(topology.route(0, 127).size() == 6);  // leaf, spine, core, spine, leaf
  std::vector<int> ports(topology.vertices().size(), 0);
  for (const Link& link : topology.links()) ++ports[static_cast<std::size_t>(link.from)];
  CHECK(*std::max_element(ports.begin(), ports.end()) == 8);
  std::set<LinkId> used;
  for (int src = 0; src < 16; ++src)
    for (int dst = 16; dst < 128; ++dst)
      for (const LinkId link : topology.route(src, dst))
        if (topology.links()[static_cast<std::size_t>(link)].tier == Tier::core) used.insert(link);
  CHECK(used.size() > 100);  // the hash spreads over the 16 cables out of a pod and 112 into the others
  CHECK(
      refusal(fat_tree(129, 1, 8, 3)) ==
      "cluster.nodes: a fourth switch tier (9 pods on cores of 8 ports) is not modelled yet; use fewer nodes, switches "
      "with more ports (cluster.fabric.switch_ports), or more oversubscription");
}

TEST_CASE("A two-tier fat tree that is too large points at the third tier", "[hardware]") {
  CHECK(refusal(fat_tree(128, 1, 8, 2)) ==
        "cluster.nodes: a third switch tier (32 leaves on spines of 8 ports) is not modelled yet; use "
        "cluster.fabric.tiers 3, or switches with more ports (cluster.fabric.switch_ports)");
}

TEST_CASE("Spraying leaves one spine per pod and one core, and changes no cut", "[hardware]") {
  ClusterSpec cluster = fat_tree(64, 1, 8, 3, 3);
  const BytesPerSecond hashed = Topology{cluster}.bisection();
  cluster.spread = SpreadPolicy::spray;
  const Topology sprayed{cluster};
  CHECK(sprayed.bisection().value() == Approx(hashed.value()).epsilon(1e-9));
  CHECK(count(sprayed, VertexKind::core) == 1);
  check_routes(sprayed);
}

TEST_CASE("Spine planes keep rails apart and multiply the largest cluster", "[hardware]") {
  // 8 rails of 3 leaves are 24 leaves: too many for spines of 16 ports, but 12 in each of 2 planes are not
  ClusterSpec cluster = small_cluster(24, 8, 1, 16);
  CHECK(refusal(cluster).find("a third switch tier (24 leaves on spines of 16 ports)") != std::string::npos);
  cluster.fabric.kind = FabricKind::multi_rail;
  cluster.fabric.planes = 2;
  const Topology topology{cluster};
  CHECK(count(topology, VertexKind::leaf) == 24);
  CHECK(count(topology, VertexKind::spine) == 2 * 8);  // 8 uplinks a leaf, a spine takes one of each of 12 leaves
  for (const Link& link : topology.links()) {
    if (link.tier != Tier::spine) continue;
    const Vertex &a = topology.vertices()[static_cast<std::size_t>(link.from)],
                 &b = topology.vertices()[static_cast<std::size_t>(link.to)];
    const int rail = a.kind == VertexKind::leaf ? a.rail : b.rail;
    const std::string& spine = a.kind == VertexKind::spine ? a.name : b.name;
    REQUIRE(spine.starts_with(rail % 2 == 0 ? "spine0." : "spine1."));
  }
  CHECK(topology.bisection().value() == Approx(12 * 8 * 50e9).epsilon(1e-9));
  cluster.fabric.planes = 9;
  CHECK(refusal(cluster) == "cluster.fabric.planes: got 9, expected at most 8: each of the rails is in one plane");
  cluster.fabric.planes = 2;
  cluster.rails = RailPolicy::spine;
  CHECK(refusal(cluster) ==
        "communication.rails: got spine with fabric multi-rail, expected forward or pxn: no spine joins these rails");
}

TEST_CASE("Rails without spines hold as many nodes as a leaf has ports below", "[hardware]") {
  ClusterSpec cluster = small_cluster(32, 8);
  cluster.fabric.kind = FabricKind::rail_only;
  CHECK(count(Topology{cluster}, VertexKind::spine) == 0);
  cluster.nodes = 33;
  CHECK(refusal(cluster) ==
        "cluster.fabric.kind: got rail-only with 2 leaves per rail, expected one leaf per rail, as nothing joins them: "
        "fewer nodes, more cluster.fabric.switch_ports, or rail-optimised");
}

TEST_CASE("NVL72 racks are nodes of 72 GPUs whose NICs lie on four rails", "[hardware]") {
  ClusterSpec cluster = small_cluster(4, 72, 1, 64);
  cluster.gpu.nvlink = BytesPerSecond{900e9};
  cluster.fabric.rails = 4;
  const Topology topology{cluster};
  CHECK(topology.gpus() == 288);
  // 18 NICs of a rack on each rail: 32 ports down take one rack, so 4 leaves a rail of 18 uplinks each
  CHECK(topology.leaves_per_rail() == 4);
  CHECK(count(topology, VertexKind::leaf) == 16);
  CHECK(topology.route(0, 71).size() == 2);  // the rack is one NVLink domain
  CHECK(names(topology, 0, 72 + 4).front() == "n0g0 -> leaf0.0");
  CHECK(names(topology, 0, 72 + 4).back() == "leaf0.1 -> n1g4");  // GPU 4 is on rail 0 too: no NVLink
  CHECK(names(topology, 0, 72 + 1).back() == "n1 nvswitch -> n1g1");
  const auto rack = topology.capacity_per_tier();
  CHECK(capacity(topology, Tier::nvlink) == 288 * 2 * 900e9);
  CHECK(topology.bisection().value() == Approx(2 * 72 * 50e9).epsilon(1e-9));
  check_routes(topology);
}

TEST_CASE("No route is longer than its fabric's diameter at 1,024 GPUs", "[hardware]") {
  ClusterSpec cluster = of_kind(GENERATE(FabricKind::fat_tree, FabricKind::dragonfly, FabricKind::torus), 128, 8);
  cluster.fabric.groups = 16;
  cluster.fabric.routers = 8;
  cluster.fabric.tiers = 3;
  const Topology topology{cluster};
  std::size_t longest = 0;
  for (int dst = 0; dst < 1024; ++dst) longest = std::max(longest, topology.route(0, dst).size());
  // leaf-spine-core: 2 NICs + 4; dragonfly: 2 + 3; torus 8 x 16: 2 + 4 + 8
  const std::size_t diameter = cluster.fabric.kind == FabricKind::fat_tree ? 6
                               : cluster.fabric.kind == FabricKind::torus  ? 14
                                                                           : 5;
  CHECK(longest <= diameter);
  CHECK(longest >= 4);
}
