#pragma once
// Cheapest paths of a small directed graph, all equal ones kept. Internal to hardware.

#include <cstdint>
#include <span>
#include <vector>

namespace moesim {

struct PathEdge {
  int from, to;
  int cost;  ///< >= 1; what passing through `to` costs is part of it
};

/// For each (vertex, target) the edges that begin a cheapest path. (Boost: Dijkstra from each target, edges reversed.)
class PathTable {
public:
  PathTable(int vertices, std::span<const PathEdge> edges, std::span<const int> targets);

  /// Indices of edges; none at the target itself, and where no path leads to it. `target` counts in `targets`.
  std::span<const int> next(int at, int target) const {
    const std::size_t cell = static_cast<std::size_t>(at) * targets_ + static_cast<std::size_t>(target);
    return {choices_.data() + begin_[cell], begin_[cell + 1] - begin_[cell]};
  }

private:
  std::size_t targets_;
  std::vector<int> choices_;
  std::vector<std::uint32_t> begin_;  ///< [vertices * targets + 1]
};

}  // namespace moesim
