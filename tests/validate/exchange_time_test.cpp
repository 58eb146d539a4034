#include "sim/validate/exchange_time.hpp"

#include <cmath>

#include "tests/catch_compat.hpp"

using namespace moesim;

TEST_CASE("Low latency sends a copy for every expert that is on another rank", "[validate]") {
  const Gpu gpu = find_gpu("h100-sxm", "test");
  const RowExchange exchange{.gpu = "h100-sxm",
                             .ranks = 8,
                             .tokens = 128,
                             .hidden = 7168,
                             .experts = 256,
                             .top_k = 8,
                             .payload = NumberFormat::fp8_block};
  // 8 copies of 7168 x 8.25 bits = 7392 bytes, 7/8 of them to other ranks
  const double wire = 128 * 8 * 7392.0 * 7 / 8;
  const double seconds =
      gpu.dispatch.latency_intra.value() + wire / (gpu.nvlink.value() * gpu.dispatch.nvlink_efficiency);
  const SourcedTime answer = exchange_time(exchange);
  CHECK(answer.time.value() == Approx(seconds));
  CHECK(answer.source == "published");
  RowExchange elsewhere = exchange;
  elsewhere.gpu = "h200-sxm";
  CHECK(exchange_time(elsewhere).source == "transferred");
}

TEST_CASE("Logical copies of normal mode are distinct ranks of a node or distinct nodes", "[validate]") {
  RowExchange exchange{.gpu = "h800-sxm", .ranks = 8, .experts = 8, .top_k = 2};
  // Two distinct experts of eight on eight ranks are on two ranks.
  CHECK(logical_copies(exchange) == Approx(2));
  exchange.ranks = 16;
  exchange.experts = 16;
  // Two nodes of 8 experts: both on one with 7/15, so 2 - 7/15 nodes.
  CHECK(logical_copies(exchange) == Approx(2 - 7.0 / 15));
}

TEST_CASE("A vendor's all-gather takes the ring's share of the gathered bytes", "[validate]") {
  const Gpu gpu = find_gpu("h100-sxm", "test");
  const VendorCollective gather{
      .gpu = "h100-sxm", .operation = VendorOperation::all_gather, .ranks = 4, .message = 64_MiB};
  // four of 8 ranks: 0.38 + 0.62 / 2 of the floor, 1 - 0.7 (1/4 - 1/8) of the bandwidth
  const double seconds = 0.69 * gpu.all_gather.latency_intra.value() +
                         0.75 * 67108864 / (0.9125 * gpu.nvlink.value() * gpu.all_gather.nvlink_efficiency);
  CHECK(collective_time(gather).time.value() == Approx(seconds));
  CHECK(vendor_operation("alltoall") == VendorOperation::all_to_all);
  CHECK_FALSE(vendor_operation("broadcast").has_value());
}
