#include <algorithm>
#include <stdexcept>

#include <fmt/format.h>

#include "models/collectives/collectives.hpp"

namespace moesim {
namespace {

constexpr std::size_t kChunk = 64;  ///< links: the busiest is looked for in one chunk, not in all

/// Four maxima at once: one running maximum would wait for each comparison.
double largest(const double* bytes, const double* seconds_per_byte, std::size_t count) {
  double most[4] = {0, 0, 0, 0};
  std::size_t i = 0;
  for (; i + 4 <= count; i += 4)
    for (std::size_t j = 0; j < 4; ++j) most[j] = std::max(most[j], bytes[i + j] * seconds_per_byte[i + j]);
  for (; i < count; ++i) most[0] = std::max(most[0], bytes[i] * seconds_per_byte[i]);
  return std::max(std::max(most[0], most[1]), std::max(most[2], most[3]));
}

/// Without latency.
CollectiveTime busiest_link(std::span<const double> link_bytes, std::span<const double> seconds_per_byte) {
  const std::size_t links = seconds_per_byte.size();
  if (link_bytes.size() != links)
    throw std::invalid_argument{fmt::format("bytes of {} links, expected {}", link_bytes.size(), links)};
  double longest = 0;
  std::size_t busiest = 0;
  for (std::size_t begin = 0; begin < links; begin += kChunk) {
    const double most =
        largest(link_bytes.data() + begin, seconds_per_byte.data() + begin, std::min(kChunk, links - begin));
    if (most <= longest) continue;
    longest = most;
    busiest = begin;
  }
  if (longest == 0) return {};
  while (link_bytes[busiest] * seconds_per_byte[busiest] != longest) ++busiest;
  return {.time = Seconds{longest}, .latency = {}, .busiest = static_cast<LinkId>(busiest)};
}

}  // namespace

std::vector<BytesPerSecond> achieved_bandwidths(const Topology& topology, const CollectiveParameters& parameters) {
  std::vector<BytesPerSecond> bandwidth;
  bandwidth.reserve(topology.links().size());
  for (const Link& link : topology.links()) bandwidth.push_back(link.capacity * efficiency_of(parameters, link.tier));
  return bandwidth;
}

FluidTimer::FluidTimer(const Topology& topology, const CollectiveParameters& parameters)
    : stages_(parameters.staged ? 2 : 1), intra_{parameters.latency_intra}, inter_{parameters.latency_inter} {
  const auto bandwidth = achieved_bandwidths(topology, parameters);
  const auto links = topology.links();
  for (auto& stage : stages_) stage.resize(links.size());
  for (std::size_t link = 0; link < links.size(); ++link) {
    const Tier tier = links[link].tier;
    const bool inside = tier == Tier::nvlink || tier == Tier::pcie;
    stages_[parameters.staged && !inside ? 1 : 0][link] = 1 / bandwidth[link].value();
    if (tier == Tier::nic) nic_links_.push_back(static_cast<LinkId>(link));
  }
}

CollectiveTime FluidTimer::operator()(std::span<const double> link_bytes) const {
  CollectiveTime result;
  Seconds longest;
  for (const auto& stage : stages_) {
    const CollectiveTime own = busiest_link(link_bytes, stage);
    result.time += own.time;
    if (own.time > longest) result.busiest = own.busiest;
    longest = std::max(longest, own.time);
  }
  if (result.busiest < 0) return {};
  const bool crosses_nics = std::any_of(nic_links_.begin(), nic_links_.end(),
                                        [&](LinkId link) { return link_bytes[static_cast<std::size_t>(link)] > 0; });
  result.latency = crosses_nics ? inter_ : intra_;
  result.time += result.latency;
  return result;
}

CollectiveTime fluid_time(std::span<const double> link_bytes, const Topology& topology,
                          const CollectiveParameters& parameters) {
  return FluidTimer{topology, parameters}(link_bytes);
}

}  // namespace moesim
