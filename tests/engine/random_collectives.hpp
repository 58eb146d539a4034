#pragma once
// Random synchronous collectives on random small fabrics: what the three levels of sharing are compared on.

#include <string>
#include <vector>

#include "models/hardware/topology.hpp"
#include "models/traffic/traffic.hpp"

namespace moesim::testing {

enum class Pattern {
  uniform,     ///< every pair the same bytes
  skewed,      ///< tokens to experts whose popularity falls as 1/i: sizes are whole tokens
  continuous,  ///< every pair its own size, so that every flow ends at its own date
  sparse,      ///< few pairs
  incast,      ///< everybody to a few receivers
  relayed,     ///< skewed tokens once per node over the sender's rail, then on over NVLink
  deployed,    ///< skewed tokens on nodes of 8 GPUs with a 1:1 rail-optimised fabric, as MoE models are served
};

struct RandomCollective {
  Topology topology;
  std::vector<Flow> flows;
  std::string what;  ///< for INFO: seed, fabric, policy
};

/// 4 to 64 GPUs; large ones only with patterns whose flows end at few dates, so that a replay stays below a second.
RandomCollective random_collective(Pattern pattern, std::uint32_t seed);

}  // namespace moesim::testing
