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
  // 3/4 of 360 MB at 450 GB/s is 600 us, of which a ring of four reaches 0.9125; plus 0.69 of 5 us of latency; the
  // other group has nothing to gather.
  constexpr double kTook = 600e-6 / 0.9125 + 3.45e-6;
  CHECK(exchange.seconds()[1] == Approx(kTook).epsilon(1e-9));
  CHECK(exchange.seconds()[5] == 0);
  CHECK(exchange.longest().value() == Approx(kTook).epsilon(1e-9));
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
            Approx(collective(topology, groups[0], Bytes{message}, ideal(), nullptr).time.value()).epsilon(1e-9));
    }
  }
  GroupExchange exchange{topology, groups, all_gather, ideal()};
  CHECK_THROWS_AS(exchange.run(std::vector<double>{1, 2}), std::invalid_argument);
}

TEST_CASE("A group that a measured curve fits takes its time from there for every message", "[serving]") {
  KernelModel model;
  model.gpu = "h100-sxm";
  model.collectives = {
      {"nccl", "2", {{KernelOperation::all_gather, "NCCL", NumberFormat::bf16, {4}, {{{}, {1e3, 1e6}, {7, 40}}}}}, {}}};
  const CollectiveCurves curves{model, "trtllm"};
  const Topology topology{testing::cluster_of(1, 8)};
  GroupExchange exchange{topology, {{0, 1, 2, 3}, {4, 5, 6, 7}}, all_gather, ideal(), &curves};
  exchange.run(std::vector<double>{10, 2e6});
  CHECK(exchange.seconds()[0] == Approx(7e-6));
  CHECK(exchange.seconds()[4] == Approx(80e-6));  // twice the last message at its bandwidth
  CHECK(exchange.longest().value() == Approx(80e-6));
  CHECK(exchange.slowest(topology).latency == Seconds{});  // twice as much takes 160 us: nothing is fixed
}
