#pragma once
// How long each rank computes in the parts of a step that do not depend on routing.

#include <vector>

#include "models/kernels/kernel_times.hpp"
#include "sim/serving/batch.hpp"
#include "sim/serving/deployment_plan.hpp"

namespace moesim {

/// Seconds per rank [ranks], of one layer (head: of the step).
struct RankTimes {
  std::vector<double> attention, routing, shared, dense, head;
};

/// Equal batches are timed once.
RankTimes time_ranks(const Scenario& scenario, const Deployment& plan, const StepBatch& batch);

}  // namespace moesim
