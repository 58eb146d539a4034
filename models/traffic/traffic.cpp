#include "models/traffic/traffic.hpp"

#include <stdexcept>

#include <fmt/format.h>

#include "models/units/error.hpp"

namespace moesim {

std::string_view name_of(CopyRule rule) {
  switch (rule) {
    case CopyRule::per_expert:
      return "per_expert";
    case CopyRule::per_rank:
      return "per_rank";
    case CopyRule::per_node:
      return "per_node";
  }
  throw std::invalid_argument{"unknown CopyRule"};
}

Bytes payload(int hidden, NumberFormat format) {
  if (hidden < 1) throw std::invalid_argument{fmt::format("payload of a hidden size of {}", hidden)};
  constexpr int kScaleBytes = 4, kScaleBlock = 128;  // one fp32 scale per 128 values
  const double d = hidden;
  switch (format) {
    case NumberFormat::bf16:
      return Bytes{2 * d};
    case NumberFormat::fp8:
    case NumberFormat::fp8_block:
      return Bytes{d + kScaleBytes * ((hidden + kScaleBlock - 1) / kScaleBlock)};
    case NumberFormat::int8:
      return Bytes{d + kScaleBytes};
    default:
      throw NotModelledYet{"precision.dispatch", std::string{name_of(format)}, "fp8 or bf16 on the wire"};
  }
}

namespace {

TrafficMatrix transposed(const TrafficMatrix& matrix, double ratio) {
  TrafficMatrix result{matrix.ranks};
  for (int src = 0; src < matrix.ranks; ++src)
    for (int dst = 0; dst < matrix.ranks; ++dst) result.at(dst, src) = ratio * matrix.at(src, dst);
  return result;
}

}  // namespace

DispatchTraffic reversed(const DispatchTraffic& dispatch, double payload_ratio) {
  return {.direct = transposed(dispatch.direct, payload_ratio),
          .to_node = transposed(dispatch.to_node, payload_ratio),
          .forwarded = transposed(dispatch.forwarded, payload_ratio),
          .rows_per_slot = dispatch.rows_per_slot,
          .copies = dispatch.copies};
}

std::vector<Flow> flows_of(const DispatchTraffic& traffic, const Topology& topology) {
  std::vector<Flow> flows;
  const int ranks = traffic.direct.ranks;
  for (int src = 0; src < ranks; ++src)
    for (int dst = 0; dst < ranks; ++dst) {
      // A pair follows one route whichever matrix names it, so its bytes are one flow.
      const double bytes = traffic.direct.at(src, dst) + traffic.to_node.at(src, dst) + traffic.forwarded.at(src, dst);
      if (src == dst || bytes == 0) continue;
      const auto route = topology.route(src, dst);
      flows.push_back({src, dst, Bytes{bytes}, {route.begin(), route.end()}});
    }
  return flows;
}

std::vector<double> link_bytes(std::span<const Flow> flows, std::size_t links) {
  std::vector<double> bytes(links, 0.0);
  for (const Flow& flow : flows)
    for (LinkId link : flow.links) bytes.at(static_cast<std::size_t>(link)) += flow.bytes.value();
  return bytes;
}

}  // namespace moesim
