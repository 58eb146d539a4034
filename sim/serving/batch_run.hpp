#pragma once
// N steps of a prefill or decode batch through every layer of a placed model.

#include "sim/serving/deployment_plan.hpp"
#include "sim/serving/lockstep.hpp"

namespace moesim {

/// Runs the workload on the simulated clock; every fact goes to `sink`. Returns the simulated length.
/// One call per process (SimGrid's clock outlives its Engine).
Seconds run_batches(const Scenario& scenario, const Deployment& plan, const Sink& sink);

}  // namespace moesim
