#pragma once
// A question in, an answer out.

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "models/units/error.hpp"
#include "sim/metrics/summary.hpp"
#include "sim/scenario/scenario.hpp"

namespace moesim {

struct RunShape;

/// Hears every fact of a run beside the metrics; made when the deployment is known, before the first fact. What the
/// shape refers to ends with the run.
using Listener = std::function<void(const Event&)>;
using ListenerMaker = std::function<Listener(const RunShape&)>;

/// Builds the deployment, runs it on the simulated clock and sums up. One call per process.
/// audited: MoE layers to audit, 0 for none; left out, default_audit() says.
/// Throws InputError, NotModelledYet, Infeasible (the model does not fit: names the line and three remedies), RunError.
Summary simulate(const Scenario& scenario, std::optional<int> audited = std::nullopt, const ListenerMaker& listen = {});

struct MemoryVerdict {
  MemoryFit fit;
  std::optional<Infeasible> misfit;  ///< what simulate would throw; nothing when it fits
  std::vector<std::string> notes;    ///< on how the scenario was taken, as in Summary::remarks
};

/// The memory fit alone, as simulate would judge it. Throws InputError, NotModelledYet as simulate would.
MemoryVerdict check_memory(const Scenario& scenario);

}  // namespace moesim
