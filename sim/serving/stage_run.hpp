#pragma once
// The layers of one pipeline stage, or of the whole model, on the GPUs that hold them.

#include <cstdint>
#include <memory>

#include "sim/engine/clock.hpp"
#include "sim/serving/deployment_plan.hpp"
#include "sim/serving/place.hpp"

namespace moesim {

/// Serves one batch at a time; microbatches that are between the pools at once need one each.
class StageRun {
public:
  /// Refers to its arguments.
  ///
  /// experts : the place of experts apart, else nullptr
  StageRun(const Scenario& scenario, const Deployment& plan, int stage, Place& place, Place* experts, const Sink& sink);
  ~StageRun();
  StageRun(StageRun&&) noexcept;

  /// Takes a batch (of a step, or a microbatch of it) through the layers on the caller's clock, when its turn comes.
  /// Returns its tokens.
  std::int64_t operator()(int batch, Turn turn, Clock& clock);

private:
  class Run;
  std::unique_ptr<Run> run_;
};

}  // namespace moesim
