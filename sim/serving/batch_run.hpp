#pragma once
// N steps of a prefill or decode batch through every layer of a placed model.

#include "sim/serving/deployment_plan.hpp"
#include "sim/serving/lockstep.hpp"

namespace moesim {

/// Runs the workload on the simulated clock; every fact goes to `sink`. Returns the simulated length.
///
/// A pipeline (pp > 1) works on `microbatches` at once: the next use of one starts when it has left the last stage,
/// because decoding needs its token. A stage takes one at a time, in the order of arrival; activations travel from each
/// rank to its successor while the stages go on. With experts apart every microbatch goes between the two pools layer
/// by layer in the same way, dispatch and combine on its way. The step that fills the pipeline is not told. A step ends
/// when the last of its microbatches leaves the last stage. One call per process (SimGrid's clock outlives its Engine).
Seconds run_batches(const Scenario& scenario, const Deployment& plan, const Sink& sink);

}  // namespace moesim
