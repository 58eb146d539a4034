#pragma once
// The links that bytes cross between each two GPUs. Internal to hardware.

#include <cstdint>
#include <span>
#include <vector>

#include "models/hardware/cluster_graph.hpp"

namespace moesim {

/// All pairs, one after the other.
class RouteTable {
public:
  RouteTable() = default;
  /// Throws InputError where no path leads from one GPU to another, NotModelledYet for tables of over 2 GB.
  RouteTable(const ClusterSpec& cluster, const ClusterGraph& graph);

  std::span<const LinkId> between(int src, int dst) const {
    const std::size_t pair = static_cast<std::size_t>(src) * gpus_ + static_cast<std::size_t>(dst);
    return {links_.data() + begin_[pair], begin_[pair + 1] - begin_[pair]};
  }

private:
  template <typename Router>
  void fill(const Router& router);

  std::size_t gpus_ = 0;
  std::vector<LinkId> links_;
  std::vector<std::uint32_t> begin_;  ///< [gpus * gpus + 1]
};

}  // namespace moesim
