#pragma once
// The collectives of a stage whose bytes the batch alone decides: what StageRun runs, and what the results say of it.

#include <span>
#include <vector>

#include "sim/events/events.hpp"
#include "sim/serving/batch.hpp"
#include "sim/serving/deployment_plan.hpp"

namespace moesim {

/// One of them over the group with the largest message; other groups run it at the same time.
struct StageCollective {
  KernelOperation operation = KernelOperation::all_reduce;
  Cause cause = Cause::tp_collective;
  std::span<const int> group;
  Bytes message;                             ///< gathered, or reduced, in that group
  int times = 0;                             ///< in one pass through the stage's layers
  const CollectiveCurves* curves = nullptr;  ///< that may time it
};

/// Of attention TP groups, and L3's gathering and scattering. Not: dispatch and combine all-to-alls and what expert TP
/// groups exchange behind them, whose bytes are drawn, and the gathering between pipeline stages.
std::vector<StageCollective> stage_collectives(const Scenario& scenario, const Deployment& plan, int stage,
                                               const StepBatch& batch);

/// L3: every token's activations with the k experts and weights it chose, of all ranks; the fullest rank's share for
/// each of them where communication.dp_padding is max.
Bytes gathered_bytes(const Scenario& scenario, const Deployment& plan, const StepBatch& batch);
/// L3: partial sums of as many tokens.
Bytes scattered_bytes(const Scenario& scenario, const Deployment& plan, const StepBatch& batch);

}  // namespace moesim
