// The referee: SimGrid flows, exact max-min and the fluid bound on 200 random synchronous collectives of 4 to 64 GPUs.
//
// Flows and exact sharing agree everywhere. F0 is a lower bound of both, and how often it is reached depends on the
// traffic: always for equal sizes and for token dispatches on nodes of 8 GPUs with a 1:1 rail-optimised fabric; less
// often on small, oversubscribed or ECMP fabrics, and least when every flow has its own size. The limits below are what
// the fixed seeds show (22 of 200 above F0 by more than 0.5 %, the worst by 10.3 %, a sparse exchange), with little
// room.

#include <algorithm>
#include <cmath>

#include "models/collectives/collectives.hpp"
#include "sim/engine/flow_replay.hpp"
#include "tests/catch_compat.hpp"
#include "tests/engine/random_collectives.hpp"

using namespace moesim;
using namespace moesim::testing;

namespace {

constexpr Seconds kQuantum{1e-9};

/// What one pattern's collectives showed.
struct Verdict {
  int collectives = 0;
  int above_bound = 0;      ///< exact sharing took more than 0.5 % over F0
  double worst_excess = 0;  ///< of exact sharing over F0
  double worst_flow = 0;    ///< of a flow's end, SimGrid against exact
};

void compare_one(const RandomCollective& collective, Verdict& verdict) {
  INFO(collective.what);
  const Topology& topology = collective.topology;
  const auto f0 = fluid_time(link_bytes(collective.flows, topology.links().size()), topology, {}).time;
  const auto exact = max_min_finish(collective.flows, achieved_bandwidths(topology, {}));
  const auto replay = replay_flows(topology, collective.flows, kQuantum);
  const Seconds makespan = *std::max_element(exact.begin(), exact.end());

  // SimGrid merges ends within the quantum in each of its rounds, so the makespan may move by some quanta.
  REQUIRE(std::abs(replay.makespan.value() - makespan.value()) <= 1e-6 * makespan.value() + 10 * kQuantum.value());
  REQUIRE(f0.value() <= makespan.value() * (1 + 1e-9));
  REQUIRE(f0.value() <= replay.makespan.value() * (1 + 1e-6));
  for (std::size_t flow = 0; flow < exact.size(); ++flow)
    verdict.worst_flow = std::max(verdict.worst_flow, std::abs(replay.finish[flow] / exact[flow] - 1));
  REQUIRE(verdict.worst_flow <= 1e-3);

  const double excess = makespan / f0 - 1;
  verdict.worst_excess = std::max(verdict.worst_excess, excess);
  verdict.above_bound += excess > 0.005 ? 1 : 0;
  ++verdict.collectives;
}

Verdict compare(Pattern pattern, std::uint32_t first_seed, std::uint32_t last_seed) {
  Verdict verdict;
  for (std::uint32_t seed = first_seed; seed <= last_seed; ++seed)
    compare_one(random_collective(pattern, seed), verdict);
  WARN(verdict.above_bound << " of " << verdict.collectives << " collectives above F0 by more than 0.5 %, the worst by "
                           << 100 * verdict.worst_excess << " %; flows against exact sharing within "
                           << verdict.worst_flow);
  return verdict;
}

/// F0 is below: by more than 0.5 % for `most_above` collectives at most, and never by more than `worst_excess`.
void require_near_below(const Verdict& verdict, int most_above, double worst_excess) {
  REQUIRE(verdict.above_bound <= most_above);
  REQUIRE(verdict.worst_excess <= worst_excess);
}

}  // namespace

TEST_CASE("Equal sizes on 30 fabrics: flows, exact sharing and F0 agree", "[engine][referee]") {
  require_near_below(compare(Pattern::uniform, 1, 30), 0, 1e-9);
}

TEST_CASE("20 skewed dispatches on nodes of 8 GPUs: flows, exact sharing and F0 agree", "[engine][referee]") {
  require_near_below(compare(Pattern::deployed, 1, 20), 0, 1e-9);
}

TEST_CASE("20 skewed dispatches on any fabric: flows are exact, F0 is near below", "[engine][referee]") {
  require_near_below(compare(Pattern::skewed, 1, 20), 2, 0.04);
}

TEST_CASE("20 more skewed dispatches on any fabric: flows are exact, F0 is near below", "[engine][referee]") {
  require_near_below(compare(Pattern::skewed, 21, 40), 4, 0.04);
}

TEST_CASE("20 relayed dispatches on any fabric: flows are exact, F0 is near below", "[engine][referee]") {
  require_near_below(compare(Pattern::relayed, 1, 20), 2, 0.01);
}

TEST_CASE("30 incasts: flows are exact, F0 is near below", "[engine][referee]") {
  require_near_below(compare(Pattern::incast, 1, 30), 3, 0.05);
}

TEST_CASE("30 sparse exchanges: flows are exact, F0 is below", "[engine][referee]") {
  require_near_below(compare(Pattern::sparse, 1, 30), 6, 0.12);
}

TEST_CASE("30 exchanges of every size: flows are exact, F0 is below", "[engine][referee]") {
  require_near_below(compare(Pattern::continuous, 1, 30), 12, 0.07);
}
