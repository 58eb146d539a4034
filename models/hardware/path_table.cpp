#include "models/hardware/path_table.hpp"

#include <limits>

#include <boost/graph/adjacency_list.hpp>
#include <boost/graph/dijkstra_shortest_paths.hpp>

namespace moesim {
namespace {

using Graph = boost::adjacency_list<boost::vecS, boost::vecS, boost::directedS, boost::no_property,
                                    boost::property<boost::edge_weight_t, int>>;

constexpr int kFar = std::numeric_limits<int>::max();

std::vector<int> distances_to(const Graph& reversed, int target) {
  std::vector<int> distance(boost::num_vertices(reversed), kFar);
  boost::dijkstra_shortest_paths(reversed, static_cast<std::size_t>(target),
                                 boost::distance_map(distance.data()).distance_inf(kFar));
  return distance;
}

}  // namespace

PathTable::PathTable(int vertices, std::span<const PathEdge> edges, std::span<const int> targets)
    : targets_{targets.size()} {
  Graph reversed(static_cast<std::size_t>(vertices));
  std::vector<std::vector<int>> edges_from(static_cast<std::size_t>(vertices));
  for (std::size_t e = 0; e < edges.size(); ++e) {
    boost::add_edge(static_cast<std::size_t>(edges[e].to), static_cast<std::size_t>(edges[e].from), edges[e].cost,
                    reversed);
    edges_from[static_cast<std::size_t>(edges[e].from)].push_back(static_cast<int>(e));
  }
  std::vector<std::vector<int>> distance;
  for (const int target : targets) distance.push_back(distances_to(reversed, target));
  begin_.reserve(static_cast<std::size_t>(vertices) * targets_ + 1);
  for (std::size_t at = 0; at < edges_from.size(); ++at)
    for (const std::vector<int>& to_target : distance) {
      begin_.push_back(static_cast<std::uint32_t>(choices_.size()));
      if (to_target[at] == kFar) continue;
      for (const int e : edges_from[at]) {
        const PathEdge& edge = edges[static_cast<std::size_t>(e)];
        const int rest = to_target[static_cast<std::size_t>(edge.to)];
        if (rest != kFar && rest + edge.cost == to_target[at]) choices_.push_back(e);
      }
    }
  begin_.push_back(static_cast<std::uint32_t>(choices_.size()));
}

}  // namespace moesim
