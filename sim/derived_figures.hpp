#pragma once
// What a summary says beyond what the recorder saw.

#include "sim/metrics/summary.hpp"
#include "sim/serving/deployment_plan.hpp"

namespace moesim {

/// Throughput, capacity and offload policies, quality, uncertainty, cost, SLOs, and a note for every key that stays
/// null. The recorder's part, the audit and the kernels must be there.
void add_derived_figures(const Scenario& scenario, const Deployment& plan, Summary& summary);

}  // namespace moesim
