#include "sim/serving/group_exchange.hpp"

#include <stdexcept>

#include "tests/catch_compat.hpp"
#include "tests/traffic/clusters.hpp"

using namespace moesim;

namespace {

CollectiveParameters ideal() {
  return {.latency_intra = Seconds{5e-6},
          .latency_inter = Seconds{9e-6},
          .nvlink_efficiency = 1,
          .nic_efficiency = 1,
          .latency_per_peer = {},
          .source = {}};
}

}  // namespace

TEST_CASE("Each group gathers its own message in the ring's time", "[serving]") {
  const Topology topology{testing::cluster_of(1, 8)};
  const std::vector<std::vector<int>> groups{{0, 1, 2, 3}, {4, 5, 6, 7}};
  GroupExchange exchange{topology, groups, all_gather, ideal()};
  exchange.run(std::vector<double>{360e6, 0});
  // 3/4 of 360 MB at 450 GB/s is 600 us, plus 5 us of latency; the other group has nothing to gather.
  CHECK(exchange.seconds()[1] == Approx(605e-6).epsilon(1e-9));
  CHECK(exchange.seconds()[5] == 0);
  CHECK(exchange.longest().value() == Approx(605e-6).epsilon(1e-9));
  double sent = 0;
  for (std::size_t link = 0; link < topology.links().size(); ++link)
    if (topology.links()[link].from < 8) sent += exchange.link_bytes()[link];  // links out of GPUs
  CHECK(sent == Approx(4 * 0.75 * 360e6).epsilon(1e-12));
}

TEST_CASE("A group exchange is the collective of its group for any message", "[serving]") {
  const Topology topology{testing::cluster_of(2, 4)};
  const std::vector<std::vector<int>> groups{{0, 1, 2, 3, 4, 5, 6, 7}};
  for (const auto collective : {all_gather, reduce_scatter}) {
    GroupExchange exchange{topology, groups, collective, ideal()};
    for (const double message : {1.0, 3e4, 7e9}) {
      exchange.run(std::vector<double>{message});
      CHECK(exchange.longest().value() ==
            Approx(collective(topology, groups[0], Bytes{message}, ideal()).time.value()).epsilon(1e-9));
    }
  }
  GroupExchange exchange{topology, groups, all_gather, ideal()};
  CHECK_THROWS_AS(exchange.run(std::vector<double>{1, 2}), std::invalid_argument);
}
