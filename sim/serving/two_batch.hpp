#pragma once
// The order in which two micro-batches share a GPU (two-batch overlap of SGLang).

#include <span>
#include <vector>

#include "models/llm/ops.hpp"
#include "sim/serving/overlap_timeline.hpp"

namespace moesim {

/// One MoE layer of one micro-batch. Spans are [ranks] seconds of a rank alone.
struct HalfLayer {
  std::span<const double> projection;  ///< norm, QKV: what comes before the attention core
  std::span<const double> attention;   ///< the core and its output projection
  std::span<const double> routing, shared, experts;
  Seconds dispatch, combine;
};

/// Issues the same layer of both micro-batches; "->" starts a collective or waits for what was started.
///
///   prefill   stages [projection, attention, routing, dispatch ->] | [-> dispatch, experts, combine ->] |
///             [shared, -> combine], the second micro-batch stage by stage behind the first
///   decode    stages [projection] | [attention, routing] | [dispatch ->, shared] | [-> dispatch, experts, combine ->]
///   |
///             [-> combine], the second micro-batch two stages behind: its last stages meet the first's next layer
/// The last stage of a layer goes on into the next layer's first. Source: SGLang's operation lists (domain C).
class TwoBatch {
public:
  TwoBatch(Phase phase, OverlapTimeline& timeline) : phase_{phase}, timeline_{timeline} {}

  void layer(const HalfLayer& first, const HalfLayer& second);
  /// Ends what is under way: before dense layers and at the end of a step.
  void drain();

private:
  void prefill(const HalfLayer& first, const HalfLayer& second);
  void decode(const HalfLayer& first, const HalfLayer& second);
  void wait_for_combine(int batch);
  void experts(int batch, std::span<const double> seconds, Seconds combine);
  void finish_second();

  Phase phase_;
  OverlapTimeline& timeline_;
  bool combining_[2] = {};
  bool second_is_behind_ = false;       ///< decode: the second micro-batch has dispatched, no more
  std::vector<double> second_experts_;  ///< its experts and combine
  Seconds second_combine_;
};

}  // namespace moesim
