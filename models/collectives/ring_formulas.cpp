#include <stdexcept>

#include <fmt/format.h>

#include "models/collectives/collectives.hpp"

namespace moesim {
namespace {

/// Share of the message that each rank sends in one pass around the ring.
double ring_share(int ranks) {
  if (ranks < 1) throw std::invalid_argument{fmt::format("a ring of {} ranks", ranks)};
  return (ranks - 1.0) / ranks;
}

Seconds ring_pass(int ranks, Bytes message, BytesPerSecond bandwidth, Seconds hop_latency) {
  return ring_share(ranks) * (message / bandwidth) + (ranks - 1.0) * hop_latency;
}

}  // namespace

Seconds ring_all_reduce(int ranks, Bytes message, BytesPerSecond bandwidth, Seconds hop_latency) {
  return 2 * ring_pass(ranks, message, bandwidth, hop_latency);
}

Seconds ring_all_gather(int ranks, Bytes gathered, BytesPerSecond bandwidth, Seconds hop_latency) {
  return ring_pass(ranks, gathered, bandwidth, hop_latency);
}

Seconds ring_reduce_scatter(int ranks, Bytes reduced, BytesPerSecond bandwidth, Seconds hop_latency) {
  return ring_pass(ranks, reduced, bandwidth, hop_latency);
}

Seconds uniform_all_to_all(int ranks, Bytes per_rank_buffer, BytesPerSecond bandwidth) {
  return ring_share(ranks) * (per_rank_buffer / bandwidth);
}

}  // namespace moesim
