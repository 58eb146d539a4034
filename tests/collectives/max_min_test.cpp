#include <algorithm>
#include <cmath>
#include <limits>

#include "models/collectives/collectives.hpp"
#include "tests/catch_compat.hpp"
#include "tests/traffic/clusters.hpp"

using namespace moesim;
using namespace moesim::testing;

namespace {

const std::vector<BytesPerSecond> kTwoLinks{BytesPerSecond{10}, BytesPerSecond{4}};

Flow flow_over(std::vector<LinkId> links, double bytes) {
  return {0, 1, Bytes{bytes}, std::move(links)};
}

}  // namespace

TEST_CASE("Max-min rates of the textbook's two links (L11)", "[collectives]") {
  // A(10) carries f1, f2; B(4) carries f2, f3: B's share is 2, what is left of A goes to f1.
  const auto rates = max_min_rates({{0}, {0, 1}, {1}}, kTwoLinks);
  REQUIRE(rates[0].value() == Approx(8).epsilon(1e-12));
  REQUIRE(rates[1].value() == Approx(2).epsilon(1e-12));
  REQUIRE(rates[2].value() == Approx(2).epsilon(1e-12));
}

TEST_CASE("A flow over no link is not limited", "[collectives]") {
  const auto rates = max_min_rates({{}, {0}}, kTwoLinks);
  REQUIRE(rates[0].value() == std::numeric_limits<double>::infinity());
  REQUIRE(rates[1].value() == 10);
}

TEST_CASE("Flows speed up as others finish", "[collectives]") {
  // f1 8 B over A, f2 4 B over A and B, f3 8 B over B. Until t = 1: 8, 2, 2, so f1 ends at 1 and f2, f3 have 2 and 6
  // left. f2 and f3 keep 2 each on B until f2 ends at 2; f3 has 4 left and all of B: ends at 3.
  const std::vector<Flow> flows{flow_over({0}, 8), flow_over({0, 1}, 4), flow_over({1}, 8)};
  const auto finish = max_min_finish(flows, kTwoLinks);
  REQUIRE(finish[0].value() == Approx(1).epsilon(1e-12));
  REQUIRE(finish[1].value() == Approx(2).epsilon(1e-12));
  REQUIRE(finish[2].value() == Approx(3).epsilon(1e-12));
}

TEST_CASE("Incast shares the receiver's link evenly (L10)", "[collectives]") {
  // 5 senders of 10 B each over their own link of 10 B/s into one of 4 B/s: 4/5 each, all done at 12.5 s.
  std::vector<Flow> flows;
  std::vector<BytesPerSecond> capacity(6, BytesPerSecond{10});
  capacity[5] = BytesPerSecond{4};
  for (int sender = 0; sender < 5; ++sender) flows.push_back(flow_over({sender, 5}, 10));
  for (const Seconds& finish : max_min_finish(flows, capacity)) REQUIRE(finish.value() == Approx(12.5).epsilon(1e-12));
}

TEST_CASE("Flows without bytes or links end at once, and a dead link is refused", "[collectives]") {
  const std::vector<Flow> flows{flow_over({0}, 0), flow_over({}, 5), flow_over({1}, 4)};
  const auto finish = max_min_finish(flows, kTwoLinks);
  REQUIRE(finish[0] == Seconds{});
  REQUIRE(finish[1] == Seconds{});
  REQUIRE(finish[2] == Seconds{1});
  const std::vector<BytesPerSecond> dead{BytesPerSecond{10}, BytesPerSecond{0}};
  REQUIRE_THROWS_WITH(max_min_finish(flows, dead), "flow 2 crosses link 1, which has no capacity");
}

TEST_CASE("Max-min rates fill a link of every flow, where that flow is among the fastest", "[collectives]") {
  // The definition (Bertsekas & Gallager): a rate vector is max-min fair if and only if every flow has a bottleneck
  // link.
  for (std::uint32_t seed = 1; seed <= 50; ++seed) {
    INFO("seed " << seed);
    Random random{seed, Purpose::test, 4, 0};
    std::vector<BytesPerSecond> capacity;
    for (int link = 0; link < 12; ++link) capacity.emplace_back(1 + 9 * random.uniform());
    std::vector<std::vector<LinkId>> routes;
    for (int flow = 0; flow < 40; ++flow) routes.push_back(distinct(random, 1 + static_cast<int>(random.below(4)), 12));
    const auto rates = max_min_rates(routes, capacity);

    std::vector<double> used(12, 0), fastest(12, 0);
    for (std::size_t flow = 0; flow < routes.size(); ++flow)
      for (LinkId link : routes[flow]) {
        used[static_cast<std::size_t>(link)] += rates[flow].value();
        fastest[static_cast<std::size_t>(link)] =
            std::max(fastest[static_cast<std::size_t>(link)], rates[flow].value());
      }
    for (std::size_t link = 0; link < 12; ++link) REQUIRE(used[link] <= capacity[link].value() * (1 + 1e-9));
    for (std::size_t flow = 0; flow < routes.size(); ++flow)
      REQUIRE(std::any_of(routes[flow].begin(), routes[flow].end(), [&](LinkId link) {
        const auto l = static_cast<std::size_t>(link);
        return used[l] >= capacity[l].value() * (1 - 1e-9) && rates[flow].value() >= fastest[l] * (1 - 1e-9);
      }));
  }
}

TEST_CASE("Max-min never beats the fluid bound", "[collectives]") {
  for (std::uint32_t seed = 1; seed <= 10; ++seed) {
    INFO("seed " << seed);
    Random random{seed, Purpose::test, 5, 0};
    const Topology topology{cluster_of(8, 2, RailPolicy::forward, SpreadPolicy::ecmp, 8)};
    std::vector<Flow> flows;
    for (int src = 0; src < 16; ++src)
      for (int dst = 0; dst < 16; ++dst) {
        const auto route = topology.route(src, dst);
        if (src != dst) flows.push_back({src, dst, Bytes{1e5 * random.gamma(0.5)}, {route.begin(), route.end()}});
      }
    const auto finish = max_min_finish(flows, achieved_bandwidths(topology, {}));
    const Seconds makespan = *std::max_element(finish.begin(), finish.end());
    const Seconds bound = fluid_time(link_bytes(flows, topology.links().size()), topology, {}).time;
    REQUIRE(makespan.value() >= bound.value() * (1 - 1e-9));
    REQUIRE(makespan.value() <= bound.value() * 1.5);  // and is near it for a synchronous start
  }
}
