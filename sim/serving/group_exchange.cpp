#include "sim/serving/group_exchange.hpp"

#include <algorithm>
#include <stdexcept>

#include <fmt/format.h>

namespace moesim {
namespace {

constexpr Bytes kProbe{1e6};

}  // namespace

GroupExchange::GroupExchange(const Topology& topology, const std::vector<std::vector<int>>& groups,
                             Collective collective, const CollectiveParameters& parameters,
                             const CollectiveCurves* curves)
    : seconds_(static_cast<std::size_t>(topology.gpus()), 0.0), link_bytes_(topology.links().size(), 0.0) {
  for (const auto& ranks : groups) {
    const GroupCollective once = collective(topology, ranks, kProbe, parameters, curves);
    const GroupCollective twice = collective(topology, ranks, 2 * kProbe, parameters, curves);
    Group group{ranks, 2 * once.time - twice.time, twice.time - once.time, once.measured, {}};
    std::vector<double> bytes(link_bytes_.size(), 0.0);
    add_link_bytes(topology, ranks, Bytes{once.sent_per_gpu / kProbe}, bytes);
    for (std::size_t link = 0; link < bytes.size(); ++link)
      if (bytes[link] > 0) group.share.emplace_back(static_cast<LinkId>(link), bytes[link]);
    groups_.push_back(std::move(group));
  }
}

Seconds GroupExchange::time(const Group& group, Bytes message) const {
  if (message <= Bytes{0}) return {};
  return group.measured ? group.measured->time(message) : group.latency + message / kProbe * group.per_megabyte;
}

void GroupExchange::run(std::span<const double> message) {
  if (message.size() != groups_.size())
    throw std::invalid_argument{fmt::format("messages of {} groups, expected {}", message.size(), groups_.size())};
  std::fill(link_bytes_.begin(), link_bytes_.end(), 0.0);
  longest_ = of_twice_ = {};
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    const Group& group = groups_[g];
    const Seconds took = time(group, Bytes{message[g]});
    for (int rank : group.ranks) seconds_[static_cast<std::size_t>(rank)] = took.value();
    for (const auto& [link, share] : group.share) link_bytes_[static_cast<std::size_t>(link)] += share * message[g];
    if (took <= longest_) continue;
    longest_ = took;
    of_twice_ = time(group, Bytes{2 * message[g]});
  }
}

CollectiveTime GroupExchange::slowest(const Topology& topology) const {
  return with_busiest_link(longest_, of_twice_, link_bytes_, topology);
}

CollectiveTime with_busiest_link(Seconds time, Seconds of_twice, std::span<const double> link_bytes,
                                 const Topology& topology) {
  CollectiveTime result{time, time - std::min(time, of_twice - time), -1};
  Seconds longest;
  for (std::size_t link = 0; link < link_bytes.size(); ++link) {
    const Seconds busy = Bytes{link_bytes[link]} / topology.links()[link].capacity;
    if (busy <= longest) continue;
    longest = busy;
    result.busiest = static_cast<LinkId>(link);
  }
  return result;
}

}  // namespace moesim
