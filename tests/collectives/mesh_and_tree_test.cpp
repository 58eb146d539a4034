// Double binary trees between nodes, and collectives on a mesh of links.

#include <cmath>
#include <numeric>

#include "models/collectives/collectives.hpp"
#include "models/collectives/group.hpp"
#include "models/units/error.hpp"
#include "tests/catch_compat.hpp"
#include "tests/traffic/clusters.hpp"

using namespace moesim;
using namespace moesim::testing;

namespace {

const CollectiveParameters kParameters{
    .latency_intra = 15.0_us, .latency_inter = 25.0_us, .latency_per_peer = {}, .source = {}};

std::vector<int> first_gpus(int count) {
  std::vector<int> gpus(static_cast<std::size_t>(count));
  std::iota(gpus.begin(), gpus.end(), 0);
  return gpus;
}

/// Eight GPUs, a link of 64 GB/s between each two: 448 GB/s out of each.
ClusterSpec mesh_of_8(int nodes = 1) {
  ClusterSpec cluster = cluster_of(nodes, 8);
  cluster.gpu.links = NodeLinks::mesh;
  cluster.gpu.nvlink = 448.0_GBps;
  return cluster;
}

int depth(const std::vector<int>& parents, int member) {
  int edges = 0;
  for (; parents[static_cast<std::size_t>(member)] >= 0; member = parents[static_cast<std::size_t>(member)]) ++edges;
  return edges;
}

std::vector<double> bytes_of(const Topology& topology, std::span<const int> group, const GroupCollective& done) {
  std::vector<double> bytes(topology.links().size(), 0.0);
  add_link_bytes(topology, group, done.sent_per_gpu, bytes, done.algorithm);
  return bytes;
}

}  // namespace

// Eight members: 4 below the root 0, 2 and 6 below 4, the odd ones leaves.
TEST_CASE("The first tree of eight members hangs its middle below the root and its leaves at the odd ones",
          "[collectives]") {
  REQUIRE(tree_parents(8) == std::vector<int>{-1, 2, 4, 2, 0, 6, 4, 6});
  REQUIRE(tree_parents(1) == std::vector<int>{-1});
  REQUIRE_THROWS_AS(tree_parents(0), std::invalid_argument);
}

TEST_CASE("A tree of any number of members is one of log2 depth with leaves at the odd ones", "[collectives]") {
  for (int count = 2; count <= 300; ++count) {
    INFO(count << " members");
    const auto parents = tree_parents(count);
    int deepest = 0;
    std::vector<int> children(parents.size(), 0);
    for (int member = 1; member < count; ++member) {
      deepest = std::max(deepest, depth(parents, member));
      ++children[static_cast<std::size_t>(parents[static_cast<std::size_t>(member)])];
    }
    REQUIRE(deepest <= std::ceil(std::log2(count)));
    for (int member = 1; member < count; ++member)
      REQUIRE(children[static_cast<std::size_t>(member)] <= (member % 2 == 1 ? 0 : 2));
    REQUIRE(children[0] == 1);
  }
}

// One GPU a node, 16 nodes, M = 64 MiB: 2 log2(16) = 8 hops of 5 us after 15 us; the busiest NIC sends and takes 2 M.
TEST_CASE("A tree takes two hops per level and twice the message over the busiest NIC", "[collectives]") {
  const Topology topology{cluster_of(16, 1)};
  const auto tree = all_reduce(topology, first_gpus(16), 64_MiB, AllReduceAlgorithm::tree, kParameters);
  REQUIRE(tree.time.value() == Approx(55e-6 + 2 * 67108864 / 50e9).epsilon(1e-9));
  REQUIRE(tree.sent_per_gpu.value() == Approx(2 * 15.0 / 16 * 67108864));  // 15 edges of 2 trees, up and down
  // 8 GPUs a node: inside 2 * 7/8 M / 450 GB/s; each rail has an eighth of the message.
  const Topology wide{cluster_of(16, 8)};
  REQUIRE(all_reduce(wide, first_gpus(128), 64_MiB, AllReduceAlgorithm::tree, kParameters).time.value() ==
          Approx(55e-6 + 1.75 * 67108864 / 450e9 + 2 * 67108864 / 8 / 50e9).epsilon(1e-9));
}

TEST_CASE("Two nodes see no difference between a tree and a ring", "[collectives]") {
  const Topology topology{cluster_of(2, 8)};
  const auto time = [&](AllReduceAlgorithm algorithm) {
    return all_reduce(topology, first_gpus(16), 1_MiB, algorithm, kParameters).time.value();
  };
  REQUIRE(time(AllReduceAlgorithm::tree) == Approx(time(AllReduceAlgorithm::hierarchical)).epsilon(1e-12));
}

// 16 nodes x 8: a ring has 30 hops, a tree 8, of 5 us: 110 us less. It costs (2 - 30/16) M/8 / 50 GB/s more, so small
// messages take the tree, up to M = 110e-6 * 50e9 * 8 / 0.125 = 352 MB.
TEST_CASE("Between many nodes small messages take the tree and large ones the rings", "[collectives]") {
  const Topology topology{cluster_of(16, 8)};
  const auto chosen = [&](Bytes message) {
    return all_reduce(topology, first_gpus(128), message, AllReduceAlgorithm::automatic, kParameters).algorithm;
  };
  REQUIRE(chosen(1_KiB) == AllReduceAlgorithm::tree);
  REQUIRE(chosen(Bytes{350e6}) == AllReduceAlgorithm::tree);
  REQUIRE(chosen(Bytes{354e6}) == AllReduceAlgorithm::hierarchical);
}

TEST_CASE("A tree conserves bytes whatever the number of nodes", "[collectives]") {
  for (int nodes : {2, 3, 4, 5, 6, 7, 12}) {
    INFO(nodes << " nodes");
    const Topology topology{cluster_of(nodes, 4)};
    const auto group = first_gpus(4 * nodes);
    const auto tree = all_reduce(topology, group, 8_MiB, AllReduceAlgorithm::tree, kParameters);
    double up = 0, down = 0;
    const auto bytes = bytes_of(topology, group, tree);
    for (std::size_t link = 0; link < bytes.size(); ++link) {
      const Link& one = topology.links()[link];
      const auto& from = topology.vertices()[static_cast<std::size_t>(one.from)];
      const auto& to = topology.vertices()[static_cast<std::size_t>(one.to)];
      if (from.kind == VertexKind::gpu) up += bytes[link];
      if (to.kind == VertexKind::gpu) down += bytes[link];
    }
    REQUIRE(up == Approx(4 * nodes * tree.sent_per_gpu.value()).epsilon(1e-12));
    REQUIRE(down == Approx(up).epsilon(1e-12));
  }
}

TEST_CASE("A tree inside one node is refused", "[collectives]") {
  const Topology topology{cluster_of(1, 8)};
  REQUIRE_THROWS_WITH(all_reduce(topology, first_gpus(8), 1_MiB, AllReduceAlgorithm::tree, kParameters),
                      "communication.all_reduce: got tree for 8 GPUs on 1 nodes, expected a group over several nodes "
                      "with the same GPUs in each; or ring, auto");
}

// All seven links: 2 * 7/8 M / 448 GB/s, seven times as quick as one ring over links of 64 GB/s.
TEST_CASE("A full mesh reduces over all links of a GPU", "[collectives]") {
  const Topology topology{mesh_of_8()};
  const auto group = first_gpus(8);
  const auto reduce = all_reduce(topology, group, 64_MiB, AllReduceAlgorithm::ring, kParameters);
  REQUIRE(reduce.time.value() == Approx(15e-6 + 1.75 * 67108864 / 448e9).epsilon(1e-9));
  REQUIRE(all_gather(topology, group, 64_MiB, kParameters).time.value() ==
          Approx(15e-6 + 0.875 * 67108864 / 448e9).epsilon(1e-9));
  // Every one of the 56 links carries 2 M / 8.
  const auto bytes = bytes_of(topology, group, reduce);
  int links = 0;
  for (double one : bytes)
    if (one > 0) {
      ++links;
      REQUIRE(one == Approx(2 * 67108864 / 8.0).epsilon(1e-12));
    }
  REQUIRE(links == 56);
  REQUIRE(std::accumulate(bytes.begin(), bytes.end(), 0.0) == Approx(8 * reduce.sent_per_gpu.value()).epsilon(1e-12));
}

// Four of eight: three links of each are used, M/4 over each and pass. The floor: a fifth of 15 us, and the rest by
// ranks of 8: 9 us for four, 6 for two.
TEST_CASE("A part of a mesh has but the links between its own GPUs", "[collectives]") {
  const Topology topology{mesh_of_8()};
  REQUIRE(all_reduce(topology, first_gpus(4), 64_MiB, AllReduceAlgorithm::ring, kParameters).time.value() ==
          Approx(9e-6 + 2 * 67108864 / 4.0 / 64e9).epsilon(1e-9));
  REQUIRE(all_reduce(topology, first_gpus(2), 64_MiB, AllReduceAlgorithm::ring, kParameters).time.value() ==
          Approx(6e-6 + 67108864 / 64e9).epsilon(1e-9));
}

TEST_CASE("Nodes that are meshes use all links inside of a hierarchical collective", "[collectives]") {
  const Topology topology{mesh_of_8(2)};
  REQUIRE(all_reduce(topology, first_gpus(16), 64_MiB, AllReduceAlgorithm::hierarchical, kParameters).time.value() ==
          Approx(25e-6 + 1.75 * 67108864 / 448e9 + 67108864 / 8.0 / 50e9).epsilon(1e-9));
}

// Two GPUs on two nodes each; src 0 sends 1 MB to GPU 3 of the other node and rail: NVLink to GPU 1, then its NIC.
TEST_CASE("Staged parameters add the time inside the nodes and between them", "[collectives]") {
  const Topology topology{cluster_of(2, 2, RailPolicy::pxn)};
  std::vector<double> bytes(topology.links().size(), 0.0);
  for (LinkId link : topology.route(0, 3)) bytes[static_cast<std::size_t>(link)] += 1e6;
  CollectiveParameters staged = kParameters;
  staged.staged = true;
  REQUIRE(fluid_time(bytes, topology, kParameters).time.value() == Approx(25e-6 + 1e6 / 50e9).epsilon(1e-12));
  const CollectiveTime time = fluid_time(bytes, topology, staged);
  REQUIRE(time.time.value() == Approx(25e-6 + 1e6 / 450e9 + 1e6 / 50e9).epsilon(1e-12));
  REQUIRE(time.latency == 25.0_us);
  REQUIRE(topology.links()[static_cast<std::size_t>(time.busiest)].tier == Tier::nic);
}

TEST_CASE("A two-sided kernel pays for each rank of another node", "[collectives]") {
  CollectiveParameters parameters = kParameters;
  parameters.latency_per_peer = 2.0_us;
  REQUIRE(parameters.of_group(true, 24).latency_inter.value() == Approx(25e-6 + 48e-6).epsilon(1e-12));
  REQUIRE(parameters.of_group(true, 24).latency_intra == 15.0_us);
  REQUIRE(parameters.of_group(false).latency_inter == 25.0_us);
}
