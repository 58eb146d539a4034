#pragma once
// What tests of fabrics look at.

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "models/units/error.hpp"
#include "tests/catch_compat.hpp"
#include "tests/hardware/clusters.hpp"

namespace moesim::testing {

using Names = std::vector<std::string>;

inline Names names(const Topology& topology, int src, int dst) {
  Names all;
  for (LinkId id : topology.route(src, dst)) all.push_back(topology.links()[static_cast<std::size_t>(id)].name);
  return all;
}

inline int count(const Topology& topology, VertexKind kind) {
  return static_cast<int>(std::count_if(topology.vertices().begin(), topology.vertices().end(),
                                        [&](const Vertex& vertex) { return vertex.kind == kind; }));
}

inline double capacity(const Topology& topology, Tier tier) {
  for (const TierCapacity& sum : topology.capacity_per_tier())
    if (sum.tier == tier) return sum.total.value();
  return -1;
}

/// Every route is a chain of links from src to dst without a vertex twice.
inline void check_routes(const Topology& topology) {
  for (int src = 0; src < topology.gpus(); ++src)
    for (int dst = 0; dst < topology.gpus(); ++dst) {
      int at = src;
      std::set<int> seen{src};
      for (LinkId id : topology.route(src, dst)) {
        const Link& link = topology.links()[static_cast<std::size_t>(id)];
        REQUIRE(link.from == at);
        at = link.to;
        REQUIRE(seen.insert(at).second);
      }
      REQUIRE(at == dst);
    }
}

/// No two links of one name: reports and degraded links go by it.
inline void check_names(const Topology& topology) {
  std::set<std::string> all;
  for (const Link& link : topology.links()) REQUIRE(all.insert(link.name).second);
}

inline ClusterSpec of_kind(FabricKind kind, int nodes, int gpus_per_node = 1) {
  ClusterSpec cluster = small_cluster(nodes, gpus_per_node);
  cluster.fabric.kind = kind;
  cluster.rails = RailPolicy::spine;
  return cluster;
}

inline std::string refusal(const ClusterSpec& cluster) {
  try {
    const Topology topology{cluster};
  } catch (const InputError& error) {
    return error.what();
  }
  return "built";
}

}  // namespace moesim::testing
