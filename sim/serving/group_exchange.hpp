#pragma once
// One collective in many groups of ranks at once, each with a message of its own.

#include <span>
#include <utility>
#include <vector>

#include "models/collectives/collectives.hpp"

namespace moesim {

/// all_gather or reduce_scatter in groups that share no link, laid out once: their times are a latency and a time per
/// byte, or off the measured curve that fits the group.
class GroupExchange {
public:
  using Collective = GroupCollective (*)(const Topology&, std::span<const int>, Bytes, const CollectiveParameters&,
                                         const CollectiveCurves*);

  GroupExchange(const Topology& topology, const std::vector<std::vector<int>>& groups, Collective collective,
                const CollectiveParameters& parameters, const CollectiveCurves* curves = nullptr);

  /// message [groups] : bytes gathered (or reduced) in each group; a group without any takes no time.
  /// Throws std::invalid_argument for another number of groups.
  void run(std::span<const double> message);

  /// Of the last run.
  std::span<const double> seconds() const { return seconds_; }        ///< [GPUs of the topology]
  std::span<const double> link_bytes() const { return link_bytes_; }  ///< [links]
  Seconds longest() const { return longest_; }
  CollectiveTime slowest(const Topology& topology) const;  ///< that took so long, and the link that was the busiest

private:
  struct Group {
    std::vector<int> ranks;
    Seconds latency, per_megabyte;
    const MeasuredCollective* measured;
    std::vector<std::pair<LinkId, double>> share;  ///< bytes on a link per byte of message
  };

  Seconds time(const Group& group, Bytes message) const;

  std::vector<Group> groups_;
  std::vector<double> seconds_, link_bytes_;
  Seconds longest_, of_twice_;  ///< of the slowest group, and with twice its message
};

/// A collective of a closed form, with the link that its bytes keep busy longest; of_twice is the time for twice the
/// bytes, which tells the latency.
CollectiveTime with_busiest_link(Seconds time, Seconds of_twice, std::span<const double> link_bytes,
                                 const Topology& topology);

}  // namespace moesim
