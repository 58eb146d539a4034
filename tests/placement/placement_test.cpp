#include "models/placement/placement.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "models/placement/eplb.hpp"
#include "models/units/error.hpp"
#include "models/units/random.hpp"
#include "tests/catch_compat.hpp"

using namespace moesim;

namespace {

// The example of the EPLB README: 12 experts in 4 groups, 16 slots on 8 GPUs of 2 nodes.
const std::vector<double> kFirstLayer{90, 132, 40, 61, 104, 165, 39, 4, 73, 56, 183, 86};
const std::vector<double> kSecondLayer{20, 107, 104, 64, 19, 197, 187, 157, 172, 86, 16, 27};
constexpr PlacementTarget kReadme{.ranks = 8, .nodes = 2, .groups = 4, .slots = 16};

std::vector<double> both_layers() {
  std::vector<double> loads = kFirstLayer;
  loads.insert(loads.end(), kSecondLayer.begin(), kSecondLayer.end());
  return loads;
}

Placement placed(PlacementPolicy policy, const PlacementTarget& target, const std::vector<double>& loads) {
  return place({.policy = policy, .redundant = 0, .file = {}}, target, 1, static_cast<int>(loads.size()), loads);
}

double max_over_mean(const std::vector<double>& load) {
  return *std::max_element(load.begin(), load.end()) * load.size() / std::accumulate(load.begin(), load.end(), 0.0);
}

double imbalance_of(PlacementPolicy policy, const PlacementTarget& target, const std::vector<double>& loads) {
  return max_over_mean(rank_loads(placed(policy, target, loads), 0, loads));
}

std::vector<double> random_loads(Random& random, int experts) {
  std::vector<double> loads(experts);
  for (double& load : loads) load = std::exp(2 * random.normal());
  return loads;
}

}  // namespace

TEST_CASE("EPLB gives both published vectors exactly", "[placement]") {
  const Placement placement =
      place({.policy = PlacementPolicy::eplb, .redundant = 4, .file = {}}, kReadme, 2, 12, both_layers());
  const auto first = placement.layer(0), second = placement.layer(1);
  CHECK(std::vector<int>(first.begin(), first.end()) ==
        std::vector<int>{5, 6, 5, 7, 8, 4, 3, 4, 10, 9, 10, 2, 0, 1, 11, 1});
  CHECK(std::vector<int>(second.begin(), second.end()) ==
        std::vector<int>{7, 10, 6, 8, 6, 11, 8, 9, 2, 4, 5, 1, 5, 0, 3, 1});
  CHECK(placement.replicas(0) == std::vector<int>{1, 2, 1, 1, 2, 2, 1, 1, 1, 1, 2, 1});
  CHECK(placement.replicas(1) == std::vector<int>{1, 2, 1, 1, 1, 2, 2, 1, 2, 1, 1, 1});
  CHECK(rank_loads(placement, 0, kFirstLayer) == std::vector<double>{121.5, 86.5, 125, 113, 147.5, 131.5, 156, 152});
  CHECK(rank_loads(placement, 1, kSecondLayer) == std::vector<double>{173, 179.5, 120.5, 172, 123, 152, 118.5, 117.5});
  CHECK(max_over_mean(rank_loads(placement, 0, kFirstLayer)) == Approx(1.2081).margin(5e-5));
  CHECK(max_over_mean(rank_loads(placement, 1, kSecondLayer)) == Approx(1.2422).margin(5e-5));
}

TEST_CASE("The hierarchical constraint costs balance against the global policy", "[placement]") {
  CHECK(imbalance_of(PlacementPolicy::eplb_global, kReadme, kFirstLayer) == Approx(1.0726).margin(5e-5));
  CHECK(imbalance_of(PlacementPolicy::eplb_global, kReadme, kSecondLayer) == Approx(1.1903).margin(5e-5));
}

TEST_CASE("EPLB is hierarchical when the nodes divide the groups, else global", "[placement]") {
  const auto hierarchical = placed(PlacementPolicy::eplb_hierarchical, kReadme, kFirstLayer);
  CHECK(placed(PlacementPolicy::eplb, kReadme, kFirstLayer).expert_of == hierarchical.expert_of);

  const PlacementTarget three_groups{.ranks = 8, .nodes = 2, .groups = 3, .slots = 16};
  const auto global = placed(PlacementPolicy::eplb_global, kReadme, kFirstLayer);
  CHECK(placed(PlacementPolicy::eplb, three_groups, kFirstLayer).expert_of == global.expert_of);
  CHECK_THROWS_WITH(
      placed(PlacementPolicy::eplb_hierarchical, three_groups, kFirstLayer),
      "placement.policy: got eplb_hierarchical with 3 expert groups, expected groups that divide over the 2 "
      "nodes; eplb_global needs none");
}

TEST_CASE("Hierarchical EPLB keeps every expert group on one node", "[placement]") {
  for (std::uint32_t seed = 0; seed < 20; ++seed) {
    INFO("seed " << seed);
    Random random{seed, Purpose::test, 2, 0};
    const PlacementTarget target{.ranks = 8, .nodes = 4, .groups = 8, .slots = 48};
    const auto placement = placed(PlacementPolicy::eplb_hierarchical, target, random_loads(random, 32));
    std::vector<int> node_of_group(8, -1);
    for (int slot = 0; slot < 48; ++slot) {
      const int group = placement.layer(0)[slot] / 4, node = slot / 12;
      if (node_of_group[group] < 0) node_of_group[group] = node;
      CHECK(node_of_group[group] == node);
    }
  }
}

TEST_CASE("Zipf loads on four ranks: linear, round-robin and LPT differ as computed", "[placement]") {
  std::vector<double> zipf(8);  // shares 1/(i H_8), H_8 = 2.717857
  for (int i = 0; i < 8; ++i) zipf[i] = 1.0 / (i + 1);
  CHECK(imbalance_of(PlacementPolicy::linear, {.ranks = 8}, zipf) == Approx(2.9435).epsilon(1e-4));  // 8 / H_8
  CHECK(imbalance_of(PlacementPolicy::linear, {.ranks = 4}, zipf) ==
        Approx(2.2076).epsilon(1e-4));  // 4 (1 + 1/2) / H_8
  CHECK(imbalance_of(PlacementPolicy::round_robin, {.ranks = 4}, zipf) ==
        Approx(1.7661).epsilon(1e-4));                                                            // 4 (1 + 1/5) / H_8
  CHECK(imbalance_of(PlacementPolicy::lpt, {.ranks = 4}, zipf) == Approx(1.6557).epsilon(1e-4));  // 4 (1 + 1/8) / H_8
}

TEST_CASE("The example histogram balances as worked out by hand", "[placement]") {
  const std::vector<double> loads{5, 1, 4, 2, 5, 1, 3, 1};  // sum 22
  CHECK(imbalance_of(PlacementPolicy::linear, {.ranks = 8}, loads) == Approx(5.0 * 8 / 22));
  const auto linear4 = placed(PlacementPolicy::linear, {.ranks = 4}, loads);
  CHECK(rank_loads(linear4, 0, loads) == std::vector<double>{6, 6, 6, 4});
  const auto linear2 = placed(PlacementPolicy::linear, {.ranks = 2}, loads);
  CHECK(rank_loads(linear2, 0, loads) == std::vector<double>{12, 10});
  const auto lpt2 = placed(PlacementPolicy::lpt, {.ranks = 2}, loads);
  CHECK(rank_loads(lpt2, 0, loads) == std::vector<double>{11, 11});
  CHECK(imbalance_of(PlacementPolicy::eplb, {.ranks = 4, .slots = 12}, loads) == Approx(1.0).epsilon(1e-12));
  CHECK(imbalance_of(PlacementPolicy::eplb, {.ranks = 8, .slots = 16}, loads) == Approx(12.0 / 11).epsilon(1e-12));
}

TEST_CASE("Linear keeps runs of experts, round-robin deals them out", "[placement]") {
  const std::vector<double> loads(6, 1.0);
  CHECK(placed(PlacementPolicy::linear, {.ranks = 3}, loads).expert_of == std::vector<int>{0, 1, 2, 3, 4, 5});
  CHECK(placed(PlacementPolicy::round_robin, {.ranks = 3}, loads).expert_of == std::vector<int>{0, 3, 1, 4, 2, 5});
}

TEST_CASE("Every expert has a slot, slots add up, and no rank beats the lower bound", "[placement]") {
  const auto policy = GENERATE(PlacementPolicy::linear, PlacementPolicy::round_robin, PlacementPolicy::lpt,
                               PlacementPolicy::eplb_global, PlacementPolicy::eplb_hierarchical);
  for (std::uint32_t seed = 0; seed < 60; ++seed) {
    Random random{seed, Purpose::test, 3, 0};
    const int nodes = 1 << random.below(3), ranks = nodes * (1 + static_cast<int>(random.below(4)));
    const int groups = nodes * (1 + static_cast<int>(random.below(2)));
    const int experts = ranks * groups * (1 + static_cast<int>(random.below(2)));
    const bool replicates = policy == PlacementPolicy::eplb_global || policy == PlacementPolicy::eplb_hierarchical;
    const int extra = replicates ? std::min(ranks * static_cast<int>(random.below(3)), experts * (ranks - 1)) : 0;
    INFO("seed " << seed << ": " << experts << " experts, " << extra << " redundant, " << ranks << " ranks");
    const std::vector<double> loads = random_loads(random, experts);
    const auto placement = placed(policy, {ranks, nodes, groups, experts + extra}, loads);

    const auto copies = placement.replicas(0);
    CHECK(*std::min_element(copies.begin(), copies.end()) >= 1);
    CHECK(std::accumulate(copies.begin(), copies.end(), 0) == experts + extra);
    const auto load = rank_loads(placement, 0, loads);
    const double fullest = *std::max_element(load.begin(), load.end());
    CHECK(fullest >= load_lower_bound(placement, 0, loads) * (1 - 1e-12));
    CHECK(std::accumulate(load.begin(), load.end(), 0.0) == Approx(std::accumulate(loads.begin(), loads.end(), 0.0)));
  }
}

TEST_CASE("Renaming the experts leaves the balanced rank loads unchanged", "[placement]") {
  const auto policy = GENERATE(PlacementPolicy::lpt, PlacementPolicy::eplb_global);
  for (std::uint32_t seed = 0; seed < 40; ++seed) {
    INFO("seed " << seed);
    Random random{seed, Purpose::test, 4, 0};
    const int slots = policy == PlacementPolicy::lpt ? 32 : 40;
    const std::vector<double> loads = random_loads(random, 32);
    std::vector<double> renamed = loads;
    for (std::uint32_t i = 31; i > 0; --i) std::swap(renamed[i], renamed[random.below(i + 1)]);
    const PlacementTarget target{.ranks = 8, .slots = slots};
    const auto before = rank_loads(placed(policy, target, loads), 0, loads);
    const auto after = rank_loads(placed(policy, target, renamed), 0, renamed);
    for (int rank = 0; rank < 8; ++rank) CHECK(after[rank] == Approx(before[rank]).epsilon(1e-12));
  }
}

TEST_CASE("Replication gives each further copy to the hottest copy", "[placement]") {
  // 9 -> 4.5 | 4.5; then 5 is hottest -> 2.5; then 4.5 again -> 3
  CHECK(replicate(std::vector<double>{9, 5, 1}, 6) == std::vector<int>{0, 1, 2, 0, 1, 0});
  // equal loads: the first expert first
  CHECK(replicate(std::vector<double>{2, 2}, 4) == std::vector<int>{0, 1, 0, 1});
}

TEST_CASE("A layer without load spreads its replicas instead of copying one expert", "[placement]") {
  const auto placement = placed(PlacementPolicy::eplb, {.ranks = 4, .slots = 8}, std::vector<double>(4, 0.0));
  CHECK(placement.replicas(0) == std::vector<int>{2, 2, 2, 2});
}

TEST_CASE("An empty slot carries no load", "[placement]") {
  const Placement placement{1, 2, 2, 2, {0, 1, 1, -1}};
  // expert 1 has two copies: 6/2 each; rank 0 also holds expert 0
  CHECK(rank_loads(placement, 0, std::vector<double>{4, 6}) == std::vector<double>{7, 3});
  CHECK(load_lower_bound(placement, 0, std::vector<double>{4, 6}) == 5);  // the mean, 10 / 2
}

TEST_CASE("A placement that cannot be is refused with its numbers", "[placement]") {
  const std::vector<double> loads(8, 1.0);
  const auto with = [&](PlacementPolicy policy, int redundant, PlacementTarget target) {
    return place({.policy = policy, .redundant = redundant, .file = {}}, target, 1, 8, loads);
  };
  CHECK_THROWS_WITH(with(PlacementPolicy::eplb, 1, {.ranks = 4}),
                    "placement slots: got 8 experts + 1 redundant = 9 slots, expected a multiple of the 4 ranks");
  CHECK_THROWS_WITH(with(PlacementPolicy::linear, 0, {.ranks = 3}),
                    "placement slots: got 8 experts + 0 redundant = 8 slots, expected a multiple of the 3 ranks");
  CHECK_THROWS_WITH(with(PlacementPolicy::eplb, 0, {.ranks = 4, .slots = 4}),
                    "placement slots: got 4, expected at least one for each of the 8 experts");
  CHECK_THROWS_WITH(with(PlacementPolicy::eplb, 4, {.ranks = 4, .slots = 16}),
                    "placement.redundant: got 16 slots, expected 8 experts + 4 redundant = 12 slots");
  CHECK_THROWS_WITH(with(PlacementPolicy::lpt, 8, {.ranks = 8}),
                    "placement.redundant: got 8, expected 0: policy lpt makes no replicas, the eplb policies do");
  CHECK_THROWS_WITH(
      with(PlacementPolicy::eplb, 2000000000, {.ranks = 8}),
      "placement slots: got 2000000008, expected at most 64: a copy of all 8 experts on each of the 8 ranks");
  CHECK_THROWS_WITH(with(PlacementPolicy::eplb, -1, {.ranks = 8}), "placement.redundant: got -1, expected 0 or more");
  CHECK_THROWS_WITH(with(PlacementPolicy::eplb, 0, {.ranks = 4, .nodes = 2, .groups = 6}),
                    "placement groups: got 6, expected a divisor of the 8 experts");
  CHECK_THROWS_WITH(with(PlacementPolicy::eplb, 0, {.ranks = 4, .nodes = 8, .groups = 8}),
                    "placement nodes: got 8, expected a divisor of the 4 ranks");
  CHECK_THROWS_WITH(with(PlacementPolicy::eplb, 0, {.ranks = 0}),
                    "placement ranks: got 0, expected a whole number, 1 or more");
}

TEST_CASE("Loads that are no loads are refused with their place", "[placement]") {
  const auto with = [](std::vector<double> loads) {
    return place({.policy = PlacementPolicy::eplb, .redundant = 0, .file = {}}, {.ranks = 2}, 2, 2, loads);
  };
  CHECK_THROWS_WITH(with({1, 2, 3}), "placement loads: got 3 values, expected 2 layers x 2 experts = 4");
  CHECK_THROWS_WITH(with({1, 2, 3, -1}),
                    "placement loads: layer 1, expert 1: got -1, expected a finite load, 0 or more");
  CHECK_THROWS_WITH(with({1, std::numeric_limits<double>::quiet_NaN(), 3, 1}),
                    "placement loads: layer 0, expert 1: got nan, expected a finite load, 0 or more");
}

TEST_CASE("A policy's name reads back, and a misspelt one names the nearest", "[placement]") {
  for (const std::string& name : placement_policy_names())
    CHECK(name_of(parse_placement_policy(name, "placement.policy")) == name);
  CHECK_THROWS_WITH(
      parse_placement_policy("eplb_globel", "--policy"),
      "--policy: got eplb_globel, expected one of linear, round_robin, lpt, eplb, eplb_global, eplb_hierarchical, "
      "file; did you mean eplb_global?");
}
