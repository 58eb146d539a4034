#pragma once
// From a hotspot's cause to what the scenario would have to say instead.

#include "sim/metrics/summary.hpp"
#include "sim/serving/deployment_plan.hpp"

namespace moesim {

/// Gives each hotspot the keys that carry its remedy out, and says so in its text. None where the scenario cannot state
/// it (a thin link of a custom graph, other pools), or where the loader would refuse the result. Whether it fits in
/// memory, and what it gains, is for a rerun to say.
void add_remedies(const Scenario& scenario, const Deployment& plan, Summary& summary);

/// Bandwidth of each link as a share of what it was built with [links]; empty when none is degraded.
std::vector<double> link_factors(const ClusterSpec& cluster, const Topology& topology);

/// " --set placement.policy=eplb --set 'cluster.links=[...]'", to be pasted into a shell.
std::string as_options(const std::vector<Override>& set);

}  // namespace moesim
