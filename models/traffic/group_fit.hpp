#pragma once

#include "models/traffic/traffic.hpp"

namespace moesim {

/// Refuses a group of ranks that the topology or the copy rule cannot carry. Throws InputError.
void check_group_fits(const Topology& topology, int ranks, CopyRule rule, int expert_tp);

}  // namespace moesim
