#pragma once
// Every run checks itself: a sample of its MoE layers is drawn again token by token and replayed as flows.

#include <optional>

#include "sim/metrics/summary.hpp"
#include "sim/scenario/scenario.hpp"
#include "sim/serving/deployment_plan.hpp"

namespace moesim {

/// Layers that a run audits when nobody says how many: as many as fit a tenth of the estimated cost of the run, at
/// most 8; one if that is quick anyway. A rule of the sizes alone, so that reruns stay byte-identical.
int default_audit(const Scenario& scenario, const Deployment& plan);

/// Draws `layers` different (step, MoE layer) pairs of the run, at most as many as there are, and looks at each again:
///   sampling   the same layer from an independent token-level draw against the run's own: dispatch + slowest rank's
///              experts + combine
///   sharing    the token-level dispatch and combine as SimGrid flows against F0, both without latency
///   staggered  the combine when each rank starts as soon as its experts are done, against the run's common start with
///              the last rank: bracketed, and where the bracket is wider than kStartTolerance escalated to flows
/// Nothing for a dense model or layers = 0. What a layout or a routing has none of stays empty (no dispatch; a trace,
/// which has no second draw). Must run before the simulation: SimGrid forks. Throws RunError as replay_flows.
std::optional<Audit> audit(const Scenario& scenario, const Deployment& plan, int layers);

}  // namespace moesim
