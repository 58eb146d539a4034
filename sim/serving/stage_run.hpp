#pragma once
// The layers of one pipeline stage, or of the whole model, on the GPUs that hold them.

#include <cstdint>
#include <memory>

#include "sim/engine/clock.hpp"
#include "sim/serving/deployment_plan.hpp"
#include "sim/serving/lockstep.hpp"

namespace moesim {

class StageRun {
public:
  /// Refers to its arguments; every fact goes to `sink`.
  StageRun(const Scenario& scenario, const Deployment& plan, int stage, const Sink& sink);
  ~StageRun();
  StageRun(StageRun&&) noexcept;

  /// Takes a batch (of a step, or a microbatch of it) through the layers on the caller's clock. Returns its tokens.
  std::int64_t operator()(int batch, Clock& clock);

  /// The stage had nothing to do up to now.
  void idle(Clock& clock, Seconds waited);

private:
  class Run;
  std::unique_ptr<Run> run_;
};

}  // namespace moesim
