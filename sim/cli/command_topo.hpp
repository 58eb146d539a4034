#pragma once
// What `moesim topo` says of a cluster, for people and for machines.

#include <string>

#include "models/hardware/topology.hpp"

namespace moesim {

std::string topology_text(const ClusterSpec& cluster, const Topology& topology);

/// One document by scenarios/schema/topo.schema.json, indented.
std::string topology_json(const ClusterSpec& cluster, const Topology& topology);

}  // namespace moesim
