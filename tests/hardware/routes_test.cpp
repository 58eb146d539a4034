#include <algorithm>
#include <map>
#include <set>

#include "models/units/random.hpp"
#include "tests/catch_compat.hpp"
#include "tests/hardware/clusters.hpp"

using namespace moesim;
using moesim::testing::small_cluster;

namespace {

const Link& link_of(const Topology& topology, LinkId id) {
  return topology.links()[static_cast<std::size_t>(id)];
}

std::vector<std::string> names(const Topology& topology, int src, int dst) {
  std::vector<std::string> all;
  for (LinkId id : topology.route(src, dst)) all.push_back(link_of(topology, id).name);
  return all;
}

ClusterSpec random_cluster(std::uint64_t seed) {
  Random random{seed, Purpose::test, 0, 0};
  const int ports = 4 + static_cast<int>(random.below(12));
  const double oversubscription = 1 + static_cast<double>(random.below(5)) / 2;
  const int rails = 1 + static_cast<int>(random.below(4));
  // spines of `ports` ports reach ports / rails leaves per rail; a leaf holds ports / 2 nodes or more
  const int most = std::max(1, ports / rails) * (ports / 2);
  ClusterSpec cluster = small_cluster(1 + static_cast<int>(random.below(static_cast<std::uint32_t>(most))), rails,
                                      oversubscription, ports);
  cluster.rails = static_cast<RailPolicy>(random.below(3));
  cluster.spread = static_cast<SpreadPolicy>(random.below(2));
  return cluster;
}

/// The route is a chain of links from src to dst that visits no vertex twice.
void check_chain(const Topology& topology, int src, int dst) {
  std::set<int> visited{src};
  int at = src;
  for (LinkId id : topology.route(src, dst)) {
    REQUIRE(link_of(topology, id).from == at);
    at = link_of(topology, id).to;
    REQUIRE(visited.insert(at).second);
  }
  REQUIRE(at == dst);
}

/// Where the rail policy allows NVLink: nowhere (spine), after the NIC (forward), before it (pxn).
void check_policy(const Topology& topology, const ClusterSpec& cluster, int src, int dst) {
  std::vector<Tier> tiers;
  for (LinkId id : topology.route(src, dst)) tiers.push_back(link_of(topology, id).tier);
  const auto on = [&](Tier tier) { return std::count(tiers.begin(), tiers.end(), tier); };
  const bool inside = topology.node_of(src) == topology.node_of(dst);
  const bool relayed = !inside && topology.rail_of(src) != topology.rail_of(dst) && cluster.rails != RailPolicy::spine;
  REQUIRE(on(Tier::nic) == (inside ? 0 : 2));
  REQUIRE(on(Tier::nvlink) == ((inside && src != dst) || relayed ? 2 : 0));
  if (!relayed) return;
  REQUIRE((tiers.front() == Tier::nvlink) == (cluster.rails == RailPolicy::pxn));
  REQUIRE((tiers.back() == Tier::nvlink) == (cluster.rails == RailPolicy::forward));
}

}  // namespace

TEST_CASE("Every route of random clusters is a chain without loops that keeps to the rail policy", "[hardware]") {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const ClusterSpec cluster = random_cluster(seed);
    INFO("seed " << seed << ": " << cluster.nodes << " nodes of " << cluster.gpus_per_node);
    const Topology topology{cluster};
    for (int src = 0; src < topology.gpus(); ++src)
      for (int dst = 0; dst < topology.gpus(); ++dst) {
        check_chain(topology, src, dst);
        check_policy(topology, cluster, src, dst);
      }
  }
}

TEST_CASE("Routes read as the policy says, by name", "[hardware]") {
  ClusterSpec cluster = small_cluster(2);
  using Names = std::vector<std::string>;
  CHECK(names(Topology{cluster}, 0, 3) == Names{"n0g0 -> n0 nvswitch", "n0 nvswitch -> n0g3"});
  CHECK(names(Topology{cluster}, 0, 8) == Names{"n0g0 -> leaf0.0", "leaf0.0 -> n1g0"});
  CHECK(names(Topology{cluster}, 0, 10) ==
        Names{"n0g0 -> leaf0.0", "leaf0.0 -> n1g0", "n1g0 -> n1 nvswitch", "n1 nvswitch -> n1g2"});
  cluster.rails = RailPolicy::pxn;
  CHECK(names(Topology{cluster}, 0, 10) ==
        Names{"n0g0 -> n0 nvswitch", "n0 nvswitch -> n0g2", "n0g2 -> leaf2.0", "leaf2.0 -> n1g2"});
  cluster.rails = RailPolicy::spine;
  cluster.spread = SpreadPolicy::spray;
  CHECK(names(Topology{cluster}, 0, 10) == Names{"n0g0 -> leaf0.0", "leaf0.0 -> spine (bundle of 2)",
                                                 "spine -> leaf2.0 (bundle of 2)", "leaf2.0 -> n1g2"});
}

TEST_CASE("Only traffic between leaves meets the spine", "[hardware]") {
  const Topology topology{small_cluster(12, 2, 1, 8)};  // 3 leaves of 4 nodes per rail
  for (int src = 0; src < topology.gpus(); ++src)
    for (int dst = 0; dst < topology.gpus(); ++dst) {
      const auto route = topology.route(src, dst);
      const bool spine =
          std::any_of(route.begin(), route.end(), [&](LinkId id) { return link_of(topology, id).tier == Tier::spine; });
      REQUIRE(spine == (topology.leaf_of(src) != topology.leaf_of(dst)));
    }
}

TEST_CASE("ECMP uses every uplink, roughly evenly, and the same way each time", "[hardware]") {
  const ClusterSpec cluster = small_cluster(40, 8);  // 2 leaves of 20 nodes and 20 uplinks per rail
  const Topology topology{cluster}, again{cluster};
  std::map<LinkId, int> flows;
  for (int src = 0; src < topology.gpus(); ++src)
    for (int dst = topology.rail_of(src); dst < topology.gpus(); dst += 8)  // one flow per NIC pair
      for (LinkId id : topology.route(src, dst))
        if (link_of(topology, id).tier == Tier::spine) ++flows[id];
  // 8 rails x 2 leaves x 20 NICs x 20 NICs of the other leaf over 20 cables = 20 flows on each link on average
  REQUIRE(flows.size() == 2 * 16 * 20);
  double squares = 0;
  for (const auto& [id, count] : flows) {
    REQUIRE(count <= 45);  // Poisson(20): beyond 5 standard deviations
    squares += (count - 20.0) * (count - 20.0);
  }
  CHECK(squares / static_cast<double>(flows.size()) == Approx(20).epsilon(0.25));  // variance of a fair choice: 19
  for (int src = 0; src < topology.gpus(); ++src)
    for (int dst = 0; dst < topology.gpus(); dst += 13) {
      const auto a = topology.route(src, dst), b = again.route(src, dst);
      REQUIRE(std::equal(a.begin(), a.end(), b.begin(), b.end()));
    }
}

TEST_CASE("Flows between the same two NICs share a cable, whichever GPU they go on to", "[hardware]") {
  const Topology topology{small_cluster(40, 8)};
  const auto direct = topology.route(0, 30 * 8), forwarded = topology.route(0, 30 * 8 + 5);
  REQUIRE(direct.size() == 4);
  REQUIRE(forwarded.size() == 6);
  CHECK(std::equal(direct.begin(), direct.end(), forwarded.begin()));
}

TEST_CASE("Spraying leaves one bundle between a leaf and the spine, with all its cables' capacity", "[hardware]") {
  ClusterSpec cluster = small_cluster(12, 2, 3, 8);  // 2 leaves of 6 nodes, 2 uplinks
  cluster.spread = SpreadPolicy::spray;
  const Topology topology{cluster};
  int bundles = 0;
  for (const Link& link : topology.links()) {
    if (link.tier != Tier::spine) continue;
    ++bundles;
    CHECK(link.capacity.value() == Approx(6 * 50e9 / 3).epsilon(1e-12));
  }
  CHECK(bundles == 2 * 2 * 2);  // rails x leaves x directions
}

namespace {

/// Longest time of any link when every GPU sends `bytes` to each of its partners.
template <typename Partners>
double fluid_seconds(const Topology& topology, double bytes, Partners partners) {
  std::vector<double> load(topology.links().size(), 0);
  for (int src = 0; src < topology.gpus(); ++src)
    for (int dst : partners(src))
      for (LinkId id : topology.route(src, dst)) load[static_cast<std::size_t>(id)] += bytes;
  double longest = 0;
  for (std::size_t i = 0; i < load.size(); ++i)
    longest = std::max(longest, load[i] / topology.links()[i].capacity.value());
  return longest;
}

}  // namespace

// Oracle L12, first part.
TEST_CASE("Oversubscription o makes traffic that is all between leaves o times slower", "[hardware]") {
  const double o = GENERATE(1.0, 1.5, 2.0, 3.0);
  INFO("oversubscription " << o);
  ClusterSpec cluster = small_cluster(12, 2, o, 8);  // leaves of 4 (o = 1), 4 (1.5), 4 (2) and 6 (3) nodes
  cluster.spread = SpreadPolicy::spray;
  const Topology topology{cluster};
  // each node sends to the node half the cluster away, which is on another leaf; 1 MB at 50 GB/s is 20 us
  const double seconds = fluid_seconds(topology, 1e6, [&](int src) { return std::vector{(src + 12) % 24}; });
  CHECK(seconds == Approx(20e-6 * o).epsilon(1e-9));
}

// Oracle L12, second part: uniform over l leaves, a share 1 - 1/l crosses; max(1, o (1 - 1/l)).
TEST_CASE("Oversubscription slows uniform traffic only by the share that leaves the leaf", "[hardware]") {
  const double o = GENERATE(1.0, 1.5, 2.0, 3.0);
  const int ports = GENERATE(8, 12);
  const int down = static_cast<int>(ports * o / (1 + o));
  ClusterSpec cluster = small_cluster(4 * down, 1, o, ports);  // 4 full leaves
  cluster.spread = SpreadPolicy::spray;
  const Topology topology{cluster};
  const int leaves = topology.leaves_per_rail(), per_leaf = down;
  INFO("oversubscription " << o << ", leaves of " << down << " nodes");
  REQUIRE(leaves == 4);
  const auto one_per_leaf = [&](int src) {
    std::vector<int> partners;
    for (int leaf = 0; leaf < leaves; ++leaf) partners.push_back(leaf * per_leaf + (src + 1) % per_leaf);
    return partners;
  };
  const double seconds = fluid_seconds(topology, 1e6 / leaves, one_per_leaf);
  CHECK(seconds == Approx(20e-6 * std::max(1.0, o * (1 - 1.0 / leaves))).epsilon(1e-9));
}

TEST_CASE("A cluster of 1,024 GPUs has routes between its far ends", "[hardware]") {
  const Topology topology{small_cluster(128)};
  CHECK(topology.leaves_per_rail() == 4);
  CHECK(topology.route(0, 1023).size() == 6);  // NIC, leaf, spine, NIC, then NVLink up and down
  check_chain(topology, 0, 1023);
  CHECK(topology.bisection().value() == Approx(64 * 8 * 50e9).epsilon(1e-9));
}
