#include <algorithm>
#include <cmath>
#include <numeric>

#include "models/traffic/traffic.hpp"
#include "tests/catch_compat.hpp"
#include "tests/traffic/clusters.hpp"

using namespace moesim;
using namespace moesim::testing;

namespace {

std::vector<double> random_bytes(int count, std::uint32_t seed, double zeros) {
  Random random{seed, Purpose::test, 2, 0};
  std::vector<double> bytes;
  for (int i = 0; i < count; ++i) {
    const bool zero = random.uniform() < zeros;
    bytes.push_back(zero ? 0.0 : 1e6 * random.gamma(0.5));
  }
  return bytes;
}

std::vector<double> shares(int ranks, std::uint32_t seed) {
  if (seed % 2 == 0) return std::vector<double>(static_cast<std::size_t>(ranks), 1.0 / ranks);
  auto share = random_bytes(ranks, seed + 100, 0.2);  // some ranks have no tokens
  const double total = std::accumulate(share.begin(), share.end(), 0.0);
  for (double& s : share) s /= total;
  return share;
}

/// The uncompressed map: what each pair carries when sources send in proportion to their shares.
DispatchTraffic proportional(const Topology& topology, const std::vector<double>& share, CopyRule rule,
                             const std::vector<double>& into_rank, const std::vector<double>& into_node) {
  const int ranks = static_cast<int>(share.size());
  DispatchTraffic traffic{TrafficMatrix{ranks}, TrafficMatrix{ranks}, TrafficMatrix{ranks}, {}, 0};
  for (int src = 0; src < ranks; ++src)
    for (int dst = 0; dst < ranks; ++dst) {
      const double bytes = share[static_cast<std::size_t>(src)] * into_rank[static_cast<std::size_t>(dst)];
      const bool same_node = topology.node_of(src) == topology.node_of(dst);
      if (rule != CopyRule::per_node || same_node) {
        traffic.direct.at(src, dst) += bytes;
        continue;
      }
      const int relay = topology.node_of(dst) * topology.gpus_per_node() + topology.rail_of(src);
      traffic.forwarded.at(relay, dst) += bytes;
      if (topology.rail_of(dst) == topology.rail_of(src))
        traffic.to_node.at(src, relay) +=
            share[static_cast<std::size_t>(src)] * into_node[static_cast<std::size_t>(topology.node_of(dst))];
    }
  return traffic;
}

void require_equal(const std::vector<double>& compressed, const std::vector<double>& reference) {
  for (std::size_t link = 0; link < reference.size(); ++link) {
    INFO("link " << link);
    if (reference[link] == 0)
      REQUIRE(compressed[link] == 0);  // exactly: a trace of a byte would charge the NIC's latency
    else
      REQUIRE(std::abs(compressed[link] - reference[link]) <= 1e-12 * reference[link]);
  }
}

}  // namespace

TEST_CASE("The compressed map is the uncompressed one on every fabric", "[traffic]") {
  const auto rails = GENERATE(RailPolicy::forward, RailPolicy::pxn, RailPolicy::spine);
  const auto spread = GENERATE(SpreadPolicy::ecmp, SpreadPolicy::spray);
  const auto rule = GENERATE(CopyRule::per_rank, CopyRule::per_node);
  struct Shape {
    int nodes, per_node, ranks, ports;
  };
  // One node; one leaf per rail; several leaves per rail; a group that fills only part of the cluster.
  const auto shape =
      GENERATE(Shape{1, 8, 8, 64}, Shape{4, 4, 16, 64}, Shape{9, 2, 18, 8}, Shape{10, 2, 12, 8}, Shape{3, 1, 3, 64});
  const Topology topology{cluster_of(shape.nodes, shape.per_node, rails, spread, shape.ports)};
  const RouteLoads reference{topology, shape.ranks};
  for (std::uint32_t seed = 1; seed <= 4; ++seed) {
    INFO("seed " << seed << ", " << shape.nodes << " nodes of " << shape.per_node << ", rails "
                 << static_cast<int>(rails) << ", spread " << static_cast<int>(spread) << ", " << name_of(rule));
    const auto share = shares(shape.ranks, seed);
    const auto into_rank = random_bytes(shape.ranks, seed, 0.3);
    const bool per_node = rule == CopyRule::per_node;
    const auto into_node =
        per_node ? random_bytes(shape.ranks / shape.per_node, seed + 50, 0.2) : std::vector<double>{};
    const ExpectedLinkBytes expected{topology, share, rule};
    std::vector<double> out(topology.links().size(), -1);

    const auto traffic = proportional(topology, share, rule, into_rank, into_node);
    expected.dispatch(into_rank, into_node, out);
    require_equal(out, reference(traffic));
    expected.combine(into_rank, into_node, out);
    require_equal(out, reference(reversed(traffic, 1)));
  }
}

TEST_CASE("A rank's own bytes never touch a link", "[traffic]") {
  const Topology topology{cluster_of(2, 4)};
  std::vector<double> share(8, 0.0), into(8, 0.0), out(topology.links().size(), -1);
  share[3] = 1;
  into[3] = 1e9;
  const ExpectedLinkBytes expected{topology, share, CopyRule::per_expert};
  expected.dispatch(into, {}, out);
  REQUIRE(std::all_of(out.begin(), out.end(), [](double bytes) { return bytes == 0; }));
}

TEST_CASE("A rail-optimised fabric needs a few coefficients per link, however many GPUs", "[traffic]") {
  const auto rails = GENERATE(RailPolicy::forward, RailPolicy::pxn);
  for (int nodes : {4, 18, 40}) {
    const Topology topology{cluster_of(nodes, 8, rails)};
    const std::vector<double> share(static_cast<std::size_t>(8 * nodes), 1.0 / (8 * nodes));
    const ExpectedLinkBytes expected{topology, share, CopyRule::per_rank};
    INFO(nodes << " nodes, " << expected.terms() << " terms on " << topology.links().size() << " links");
    REQUIRE(expected.terms() <= 2 * topology.links().size());
  }
}

TEST_CASE("Expected bytes are the mean of counted ones", "[traffic]") {
  // 4,000 tokens from ranks in the ratio 1:2:3:2, one expert each. Conditional on the rows of every rank, rank r's
  // bytes come from sources by their shares; over many tokens the counted NIC bytes approach the map within five sigma
  // of the binomial.
  const Topology topology{cluster_of(2, 2)};
  const std::vector<double> share{0.125, 0.25, 0.375, 0.25};
  std::vector<int> chosen, source_of;
  Random random{21, Purpose::test, 0, 0};
  for (int t = 0; t < 4000; ++t) {
    chosen.push_back(static_cast<int>(random.below(4)));
    const double u = random.uniform();
    source_of.push_back(u < 0.125 ? 0 : u < 0.375 ? 1 : u < 0.75 ? 2 : 3);
  }
  const auto traffic = count_dispatch(chosen, source_of, 1, linear_placement(4, 4), 0, CopyRule::per_rank,
                                      ReplicaChoice::uniform_random, 1_B, topology, 1);
  std::vector<double> into(traffic.rows_per_slot.begin(), traffic.rows_per_slot.end());
  std::vector<double> expected(topology.links().size());
  ExpectedLinkBytes{topology, share, CopyRule::per_rank}.dispatch(into, {}, expected);
  const auto counted = RouteLoads{topology, 4}(traffic);
  for (std::size_t link = 0; link < counted.size(); ++link)
    REQUIRE(std::abs(counted[link] - expected[link]) <= 5 * std::sqrt(expected[link]));
}

TEST_CASE("Shares that do not sum to one are refused", "[traffic]") {
  const Topology topology{cluster_of(1, 2)};
  const std::vector<double> half{0.25, 0.25}, good{0.5, 0.5};
  REQUIRE_THROWS_WITH((ExpectedLinkBytes{topology, half, CopyRule::per_rank}),
                      "source shares of 2 ranks sum to 0.5, expected 1 and none negative");
  std::vector<double> out(topology.links().size());
  REQUIRE_THROWS_WITH((ExpectedLinkBytes{topology, good, CopyRule::per_rank}.dispatch(half, half, out)),
                      "bytes of 2 ranks and 2 nodes on 4 links, expected 2, 0 and 4");
}
