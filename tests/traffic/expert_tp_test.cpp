// Dispatch to groups of GPUs that hold slices of the same experts (layouts L6 and L7).

#include <cmath>
#include <numeric>

#include "models/traffic/traffic.hpp"
#include "tests/catch_compat.hpp"
#include "tests/traffic/clusters.hpp"

using namespace moesim;
using namespace moesim::testing;

namespace {

void require_same(const std::vector<double>& bytes, const std::vector<double>& reference) {
  for (std::size_t link = 0; link < reference.size(); ++link)
    REQUIRE(std::abs(bytes[link] - reference[link]) <= 1e-12 * reference[link]);
}

}  // namespace

TEST_CASE("A group of GPUs that share its experts takes a token at the sender's place in the group", "[traffic]") {
  // 2 nodes x 2 GPUs, each node one placement rank of two halves (L6). Experts 2 and 3 live in node 1: GPU 1 sends its
  // token once to GPU 3, its like; GPU 2's token for experts 3 and 0 stays on GPU 2 and goes to GPU 0.
  const Topology topology{cluster_of(2, 2)};
  const std::vector<int> chosen{2, 3, 3, 0}, source{1, 2};
  const auto traffic = count_dispatch(chosen, source, 2, linear_placement(4, 2), 0, CopyRule::per_rank,
                                      ReplicaChoice::uniform_random, 100_B, topology, 1, 2);
  CHECK(traffic.direct.ranks == 4);
  CHECK(traffic.direct.at(1, 3) == 100);
  CHECK(traffic.direct.at(2, 2) == 100);
  CHECK(traffic.direct.at(2, 0) == 100);
  CHECK(std::accumulate(traffic.direct.bytes.begin(), traffic.direct.bytes.end(), 0.0) == 300);
  CHECK(traffic.rows_per_slot == std::vector<std::int32_t>{1, 0, 1, 2});
  CHECK_THROWS_WITH(count_dispatch(chosen, source, 2, linear_placement(4, 2), 0, CopyRule::per_node,
                                   ReplicaChoice::uniform_random, 100_B, topology, 1, 2),
                    "communication.copies: per_node with experts tp 2 is not modelled yet; use per_rank, which sends "
                    "once to each expert TP group");
}

TEST_CASE("Groups that share experts receive at each GPU what its likes send", "[traffic]") {
  const int width = GENERATE(1, 2, 4);
  const Topology topology{cluster_of(3, 4, RailPolicy::forward, SpreadPolicy::ecmp)};
  const int groups = 12 / width;
  const std::vector<double> share(12, 1.0 / 12);
  std::vector<double> into;
  for (int group = 0; group < groups; ++group) into.push_back(group % 5 == 4 ? 0 : 1e6 * (group + 1));
  TrafficMatrix direct{12};
  for (int src = 0; src < 12; ++src)
    for (int group = 0; group < groups; ++group)
      direct.at(src, group * width + src % width) += into[static_cast<std::size_t>(group)] / 12;
  const DispatchTraffic traffic{direct, TrafficMatrix{12}, TrafficMatrix{12}, {}, 0};
  std::vector<double> out(topology.links().size());
  const ExpectedLinkBytes expected{topology, share, CopyRule::per_rank, width};
  expected.dispatch(into, {}, out);
  require_same(out, RouteLoads{topology, 12}(traffic));
  expected.combine(into, {}, out);
  require_same(out, RouteLoads{topology, 12}(reversed(traffic, 1)));
}
