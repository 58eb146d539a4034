// Link bytes drawn around their expectation, against the bytes of tokens.

#include <algorithm>
#include <cmath>

#include "models/traffic/traffic.hpp"
#include "tests/catch_compat.hpp"
#include "tests/traffic/clusters.hpp"

using namespace moesim;
using namespace moesim::testing;

namespace {

constexpr int kTopK = 4, kTokensPerRank = 32;
constexpr Bytes kCopy{1000};

/// Tokens of every rank to distinct experts, all alike; and the same dispatch as the aggregate sampler sees it: what
/// ranks (per_node: and nodes) receive.
struct Exchange {
  Exchange(const Topology& topology, const Placement& placement, CopyRule rule, std::uint32_t trial)
      : traffic{TrafficMatrix{1}, TrafficMatrix{1}, TrafficMatrix{1}, {}, 0} {
    Random random{1, Purpose::test, 7, trial};
    std::vector<int> chosen, source_of;
    for (int t = 0; t < placement.ranks * kTokensPerRank; ++t) {
      const auto experts = distinct(random, kTopK, placement.experts);
      chosen.insert(chosen.end(), experts.begin(), experts.end());
      source_of.push_back(t / kTokensPerRank);
    }
    traffic = count_dispatch(chosen, source_of, kTopK, placement, 0, rule, ReplicaChoice::uniform_random, kCopy,
                             topology, trial);
    const bool per_node = rule == CopyRule::per_node;
    into_rank.assign(static_cast<std::size_t>(placement.ranks), 0.0);
    into_node.assign(per_node ? static_cast<std::size_t>(topology.nodes()) : 0, 0.0);
    for (int src = 0; src < placement.ranks; ++src)
      for (int dst = 0; dst < placement.ranks; ++dst) {
        into_rank[static_cast<std::size_t>(dst)] += traffic.direct.at(src, dst) + traffic.forwarded.at(src, dst);
        if (per_node) into_node[static_cast<std::size_t>(topology.node_of(dst))] += traffic.to_node.at(src, dst);
      }
    if (per_node) count_home_nodes(chosen, source_of, topology, placement);
    law = law_of(rule, placement);
  }

  DispatchTraffic traffic;
  std::vector<double> into_rank, into_node;
  CopyLaw law;

private:
  /// A token that stays in its node counts once there too.
  void count_home_nodes(const std::vector<int>& chosen, const std::vector<int>& source_of, const Topology& topology,
                        const Placement& placement) {
    for (std::size_t t = 0; t < source_of.size(); ++t) {
      const int home = topology.node_of(source_of[t]);
      const auto begin = chosen.begin() + static_cast<std::ptrdiff_t>(t * kTopK);
      const bool stays = std::any_of(begin, begin + kTopK, [&](int expert) {
        return topology.node_of(expert / placement.slots_per_rank) == home;
      });
      if (stays) into_node[static_cast<std::size_t>(home)] += kCopy.value();
    }
  }

  CopyLaw law_of(CopyRule rule, const Placement& placement) const {
    const double tokens = placement.ranks * kTokensPerRank;
    if (rule == CopyRule::per_expert) return {kCopy, 1 - kTopK / static_cast<double>(placement.experts), 1};
    const auto& into = into_node.empty() ? into_rank : into_node;
    double copies = 0, squares = 0;
    for (const double bytes : into) {
      copies += bytes / kCopy.value();
      squares += std::pow(bytes / kCopy.value(), 2);
    }
    return {kCopy, 1 - squares / (copies * tokens), fixed_share(kTopK, static_cast<int>(into.size()))};
  }
};

double busiest_link(const Topology& topology, Tier tier, const std::vector<double>& bytes) {
  double most = 0;
  for (std::size_t l = 0; l < bytes.size(); ++l)
    if (topology.links()[l].tier == tier) most = std::max(most, bytes[l]);
  return most;
}

struct Busiest {
  double tokens = 0, expected = 0, drawn = 0;  ///< means
};

Busiest busiest_of(const Topology& topology, Tier tier, CopyRule rule, bool combine, int trials) {
  const Placement placement = linear_placement(2 * topology.gpus(), topology.gpus());
  const auto ranks = static_cast<std::size_t>(topology.gpus());
  const ExpectedLinkBytes map{topology, std::vector<double>(ranks, 1.0 / static_cast<double>(ranks)), rule};
  Busiest mean;
  std::vector<double> bytes(topology.links().size());
  for (int trial = 0; trial < trials; ++trial) {
    const Exchange one{topology, placement, rule, static_cast<std::uint32_t>(trial)};
    const DispatchTraffic traffic = combine ? reversed(one.traffic, 1) : one.traffic;
    mean.tokens += busiest_link(topology, tier, link_bytes(flows_of(traffic, topology), bytes.size())) / trials;
    (map.*(combine ? &ExpectedLinkBytes::combine : &ExpectedLinkBytes::dispatch))(one.into_rank, one.into_node, bytes);
    mean.expected += busiest_link(topology, tier, bytes) / trials;
    const Random key{2, Purpose::test, 8, static_cast<std::uint32_t>(trial)};
    (map.*(combine ? &ExpectedLinkBytes::scatter_combine : &ExpectedLinkBytes::scatter_dispatch))(one.law, key, bytes);
    mean.drawn += busiest_link(topology, tier, bytes) / trials;
  }
  return mean;
}

}  // namespace

TEST_CASE("The busiest NIC of drawn bytes is as busy as that of tokens", "[traffic]") {
  const auto rule = GENERATE(CopyRule::per_expert, CopyRule::per_rank, CopyRule::per_node);
  const auto rails = GENERATE(RailPolicy::forward, RailPolicy::pxn, RailPolicy::spine);
  const bool combine = GENERATE(false, true);
  const Busiest busiest = busiest_of(Topology{cluster_of(4, 4, rails)}, Tier::nic, rule, combine, 150);
  INFO(name_of(rule) << ", rails " << static_cast<int>(rails) << (combine ? ", combine" : ", dispatch") << ": tokens "
                     << busiest.tokens << ", expected " << busiest.expected << ", drawn " << busiest.drawn);
  CHECK(busiest.expected / busiest.tokens < 0.985);  // what the draw is for: a tenth where a node's rails share alike
  CHECK(busiest.drawn / busiest.tokens == Approx(1).margin(0.012));
}

TEST_CASE("The busiest hashed uplink of drawn bytes is as busy as that of tokens", "[traffic]") {
  const auto rule = GENERATE(CopyRule::per_expert, CopyRule::per_node);
  const Topology topology{cluster_of(8, 2, RailPolicy::forward, SpreadPolicy::ecmp, 8)};  // two leaves per rail
  const Busiest busiest = busiest_of(topology, Tier::spine, rule, false, 150);
  INFO(name_of(rule) << ": tokens " << busiest.tokens << ", expected " << busiest.expected << ", drawn "
                     << busiest.drawn);
  // The hash decides which uplink is the busiest, chance adds little: a draw of all uplinks alike would overshoot.
  CHECK(busiest.drawn / busiest.tokens == Approx(1).margin(0.012));
}

TEST_CASE("Drawn bytes leave as many NICs as they reach", "[traffic]") {
  const Topology topology{cluster_of(4, 4)};
  const std::vector<double> share(16, 1.0 / 16);
  const ExpectedLinkBytes map{topology, share, CopyRule::per_expert};
  const double copies = GENERATE(1.0, 100.0);  // into a rank: of one, a normal number often says fewer than none
  std::vector<double> into(16, copies * kCopy.value()), expected(topology.links().size());
  into[3] = 0;
  map.dispatch(into, {}, expected);
  const auto nics = [&](const std::vector<double>& bytes, bool out) {
    double sum = 0;
    for (std::size_t l = 0; l < bytes.size(); ++l) {
      const Link& link = topology.links()[l];
      const bool leaves = topology.vertices()[static_cast<std::size_t>(link.from)].node >= 0;
      if (link.tier == Tier::nic && leaves == out) sum += bytes[l];
    }
    return sum;
  };
  for (std::uint32_t seed = 1; seed <= 20; ++seed) {
    INFO("seed " << seed);
    std::vector<double> drawn = expected, again = expected;
    map.scatter_dispatch({kCopy, 1, 1}, Random{seed, Purpose::test, 0, 0}, drawn);
    map.scatter_dispatch({kCopy, 1, 1}, Random{seed, Purpose::test, 0, 0}, again);
    CHECK(drawn == again);
    CHECK(drawn != expected);
    CHECK(nics(drawn, true) == Approx(nics(expected, true)).epsilon(1e-12));
    CHECK(nics(drawn, false) == Approx(nics(expected, true)).epsilon(1e-12));
    for (std::size_t l = 0; l < drawn.size(); ++l) {
      CHECK(drawn[l] >= 0);
      if (topology.links()[l].tier == Tier::nvlink) CHECK(drawn[l] == expected[l]);
    }
  }
  std::vector<double> few(1);
  REQUIRE_THROWS_WITH(map.scatter_dispatch({kCopy, 1, 1}, Random{1, Purpose::test, 0, 0}, few),
                      "bytes of 1 links, expected 64");
}

// What a GPU sends to the other of two nodes is what its counterpart there receives.
TEST_CASE("Two ends of the same bytes draw the same", "[traffic]") {
  const Topology topology{cluster_of(2, 4)};
  const ExpectedLinkBytes map{topology, std::vector<double>(8, 1.0 / 8), CopyRule::per_expert};
  const std::vector<double> into(8, 100 * kCopy.value());
  std::vector<double> drawn(topology.links().size());
  map.dispatch(into, {}, drawn);
  map.scatter_dispatch({kCopy, 1, 1}, Random{1, Purpose::test, 0, 0}, drawn);
  for (int gpu = 0; gpu < 4; ++gpu) {
    const auto route = topology.route(gpu, gpu + 4);
    REQUIRE(route.size() == 2);  // NIC to leaf, leaf to NIC
    CHECK(drawn[static_cast<std::size_t>(route[0])] == drawn[static_cast<std::size_t>(route[1])]);
    CHECK(drawn[static_cast<std::size_t>(route[0])] != 50 * kCopy.value());
  }
}

// Two experts on two nodes: one node or both, half and half, a variance of 1/4. Each node is hit with chance 3/4, which
// independently would make 2 * 3/16 = 3/8. One expert always reaches one place.
TEST_CASE("How far tokens have as many copies as each other", "[traffic]") {
  CHECK(fixed_share(2, 2) == Approx(1.0 / 3));
  CHECK(fixed_share(1, 5) == Approx(1));
  CHECK(fixed_share(8, 1) == 1);
  CHECK(fixed_share(8, 32) > fixed_share(8, 4));
  REQUIRE_THROWS_WITH(fixed_share(0, 4), "0 copies in 4 places");
}
