// Dispatch from GPUs of attention to GPUs of experts (layout L10).

#include <cmath>
#include <numeric>
#include <set>

#include "models/traffic/traffic.hpp"
#include "tests/catch_compat.hpp"
#include "tests/traffic/clusters.hpp"

using namespace moesim;
using namespace moesim::testing;

namespace {

double sum(const TrafficMatrix& matrix) {
  return std::accumulate(matrix.bytes.begin(), matrix.bytes.end(), 0.0);
}

/// Bytes of the first link from one GPU to another.
double bytes_of(const Topology& topology, const std::vector<double>& bytes, int from, int to) {
  const auto route = topology.route(from, to);
  return bytes[static_cast<std::size_t>(route.front())];
}

}  // namespace

TEST_CASE("A token for another pool goes once to each node, and on from its own rail's relay there", "[traffic]") {
  // 3 nodes x 2 GPUs: attention on GPUs 0 and 1, experts on 2 to 5, two on each. GPU 1's token wants experts 0 and 1
  // (GPU 2), 2 (GPU 3), both in node 1, and 6 (GPU 5) in node 2. Its rail is 1: relays GPU 3 and GPU 5.
  const Topology topology{cluster_of(3, 2)};
  const std::vector<int> chosen{0, 1, 2, 6}, source{1};
  const auto count = [&](CopyRule rule) {
    return count_dispatch(chosen, source, 4, linear_placement(8, 4), 0, rule, ReplicaChoice::uniform_random, 100_B,
                          topology, 1, 1, 2);
  };
  const auto traffic = count(CopyRule::per_node);
  CHECK(traffic.to_node.at(1, 3) == 100);
  CHECK(traffic.to_node.at(1, 5) == 100);
  CHECK(sum(traffic.to_node) == 200);
  CHECK(traffic.forwarded.at(3, 2) == 100);
  CHECK(traffic.forwarded.at(3, 3) == 100);
  CHECK(traffic.forwarded.at(5, 5) == 100);
  CHECK(sum(traffic.forwarded) == 300);
  CHECK(sum(traffic.direct) == 0);
  CHECK(traffic.copies == 2);
  CHECK(traffic.rows_per_slot == std::vector<std::int32_t>{1, 1, 1, 0, 0, 0, 1, 0});

  // GPU 1's NIC sends two copies instead of three (per rank) or four (per expert); GPU 3 hands one to GPU 2.
  const auto bytes = [&](CopyRule rule) {
    return link_bytes(flows_of(count(rule), topology), topology.links().size());
  };
  CHECK(bytes_of(topology, bytes(CopyRule::per_node), 1, 3) == 200);
  CHECK(bytes_of(topology, bytes(CopyRule::per_rank), 1, 3) == 300);
  CHECK(bytes_of(topology, bytes(CopyRule::per_expert), 1, 3) == 400);
  CHECK(bytes_of(topology, bytes(CopyRule::per_node), 3, 2) == 100);

  const auto back = link_bytes(flows_of(reversed(count(CopyRule::per_node), 2), topology), topology.links().size());
  CHECK(bytes_of(topology, back, 2, 3) == 200);
  CHECK(bytes_of(topology, back, 3, 1) == 200);
  CHECK(bytes_of(topology, back, 5, 1) == 200);
}

TEST_CASE("Pools in one node need no relay", "[traffic]") {
  const Topology topology{cluster_of(1, 4)};
  const auto traffic = count_dispatch(std::vector<int>{0, 1, 3}, std::vector<int>{1}, 3, linear_placement(4, 2), 0,
                                      CopyRule::per_node, ReplicaChoice::uniform_random, 100_B, topology, 1, 1, 2);
  CHECK(traffic.direct.at(1, 2) == 100);
  CHECK(traffic.direct.at(1, 3) == 100);
  CHECK(sum(traffic.to_node) + sum(traffic.forwarded) == 0);
  CHECK(traffic.copies == 1);
}

TEST_CASE("Between pools per_node loses no row and no byte (L35)", "[traffic]") {
  // Attention on 2 nodes of 4, experts on 3: 24 experts, two on each of 12 GPUs; 6 of them for each token.
  const Topology topology{cluster_of(5, 4)};
  const Placement placement = linear_placement(24, 12);
  for (std::uint32_t seed = 1; seed <= 5; ++seed) {
    INFO("seed " << seed);
    std::vector<int> chosen, source_of;
    double nodes = 0, ranks = 0;
    for (int t = 0; t < 8 * 25; ++t) {
      Random random{seed, Purpose::test, 3, 0, static_cast<std::uint32_t>(t)};
      std::set<int> of_node, of_rank;
      for (const int expert : distinct(random, 6, 24)) {
        chosen.push_back(expert);
        of_rank.insert(expert / 2);
        of_node.insert(expert / 8);
      }
      source_of.push_back(t / 25);
      nodes += static_cast<double>(of_node.size());
      ranks += static_cast<double>(of_rank.size());
    }
    const auto traffic = count_dispatch(chosen, source_of, 6, placement, 0, CopyRule::per_node,
                                        ReplicaChoice::uniform_random, 10_B, topology, seed, 1, 8);
    CHECK(std::accumulate(traffic.rows_per_slot.begin(), traffic.rows_per_slot.end(), 0) == 6 * 200);
    CHECK(sum(traffic.direct) == 0);
    CHECK(sum(traffic.to_node) == 10 * nodes);
    CHECK(sum(traffic.forwarded) == 10 * ranks);
    CHECK(traffic.copies == nodes);
    for (int relay = 0; relay < 20; ++relay) {
      double in = 0, out = 0;
      for (int gpu = 0; gpu < 20; ++gpu) {
        in += traffic.to_node.at(gpu, relay);
        out += traffic.forwarded.at(relay, gpu);
      }
      CHECK(out >= in);                // what comes in over the NIC goes to one rank at least
      if (relay < 8) CHECK(out == 0);  // attention GPUs relay nothing
    }
    // On the wire: all that is sent to nodes leaves by an attention GPU's NIC and comes in by an expert GPU's.
    const auto bytes = link_bytes(flows_of(traffic, topology), topology.links().size());
    double out = 0, in = 0;
    for (std::size_t id = 0; id < bytes.size(); ++id) {
      const Link& link = topology.links()[id];
      const auto kind = [&](int vertex) { return topology.vertices()[static_cast<std::size_t>(vertex)].kind; };
      if (link.tier != Tier::nic) continue;
      (kind(link.from) == VertexKind::leaf ? in : out) += bytes[id];
    }
    CHECK(out == 10 * nodes);
    CHECK(in == 10 * nodes);
  }
}

TEST_CASE("Expected bytes between pools are those of every pair", "[traffic]") {
  const auto rails = GENERATE(RailPolicy::forward, RailPolicy::pxn, RailPolicy::spine);
  const auto rule = GENERATE(CopyRule::per_rank, CopyRule::per_node);
  struct Pools {
    int per_node, attention, experts;
  };
  const auto pools = GENERATE(Pools{4, 4, 8}, Pools{4, 8, 4}, Pools{2, 6, 10}, Pools{8, 4, 4}, Pools{1, 2, 3});
  const int gpus = pools.attention + pools.experts, per_node = pools.per_node;
  const Topology topology{cluster_of((gpus + per_node - 1) / per_node, per_node, rails)};
  const int first_node = pools.attention / per_node;
  std::vector<double> share, into_rank, into_node;
  Random random{17, Purpose::test, 0, 0};
  for (int source = 0; source < pools.attention; ++source)
    share.push_back((1.0 + source) * 2 / pools.attention / (pools.attention + 1));
  for (int rank = 0; rank < pools.experts; ++rank) into_rank.push_back(rank % 5 == 3 ? 0 : 1e6 * random.uniform());
  if (rule == CopyRule::per_node)
    for (int node = first_node; node <= topology.node_of(gpus - 1); ++node) into_node.push_back(1e5 * (node + 1));

  DispatchTraffic traffic{TrafficMatrix{gpus}, TrafficMatrix{gpus}, TrafficMatrix{gpus}, {}, 0};
  for (int source = 0; source < pools.attention; ++source) {
    const double part = share[static_cast<std::size_t>(source)];
    for (int rank = 0; rank < pools.experts; ++rank) {
      const int gpu = pools.attention + rank, node = topology.node_of(gpu);
      const double bytes = part * into_rank[static_cast<std::size_t>(rank)];
      const int relay = node * per_node + topology.rail_of(source);
      if (rule == CopyRule::per_rank || node == topology.node_of(source))
        traffic.direct.at(source, gpu) += bytes;
      else
        traffic.forwarded.at(relay, gpu) += bytes;
    }
    for (std::size_t n = 0; n < into_node.size(); ++n)
      if (const int node = first_node + static_cast<int>(n); node != topology.node_of(source))
        traffic.to_node.at(source, node * per_node + topology.rail_of(source)) += part * into_node[n];
  }
  INFO(pools.attention << " attention and " << pools.experts << " expert GPUs on nodes of " << per_node << ", "
                       << name_of(rule));
  const ExpectedLinkBytes expected{topology, share, rule, 1, pools.experts};
  const auto check = [&](const std::vector<double>& bytes, const DispatchTraffic& counted) {
    const auto reference = link_bytes(flows_of(counted, topology), topology.links().size());
    for (std::size_t link = 0; link < reference.size(); ++link) {
      if (reference[link] == 0)
        CHECK(bytes[link] == 0);
      else
        CHECK(bytes[link] == Approx(reference[link]).epsilon(1e-12));
    }
  };
  std::vector<double> out(topology.links().size());
  expected.dispatch(into_rank, into_node, out);
  check(out, traffic);
  expected.combine(into_rank, into_node, out);
  check(out, reversed(traffic, 1));
}
