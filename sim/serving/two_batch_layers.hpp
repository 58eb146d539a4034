#pragma once
// MoE layers of a step cut into two micro-batches (overlap.two_batch).

#include <array>
#include <vector>

#include "sim/serving/expert_traffic.hpp"
#include "sim/serving/lockstep.hpp"
#include "sim/serving/rank_times.hpp"
#include "sim/serving/two_batch.hpp"

namespace moesim {

/// Both halves of a step: each data-parallel rank's sequences in two, or the tokens of a single prompt (the second half
/// then attends to the first). Tokens that do not divide go to the first half.
std::array<StepBatch, 2> halves_of(const StepBatch& batch, const Layout& layout);

/// SMs that a DeepEP normal-mode kernel keeps: 20 of the H800's 132, as the DeepSeek-V3 report says. Low latency keeps
/// none while it waits for the network.
inline constexpr int kCommunicationSms = 20;
/// Share of the HBM bandwidth that communication takes from a computation beside it [assumed, domain H: 0.05 to 0.1].
inline constexpr double kCommunicationHbmShare = 0.05;

class TwoBatchLayers : private OverlapListener {
public:
  /// Refers to its arguments; plan_deployment has refused the layouts that this cannot order.
  TwoBatchLayers(const Scenario& scenario, const Deployment& plan, ExpertTraffic& traffic, const ExpertPhase& experts,
                 Lockstep& group);
  TwoBatchLayers(const TwoBatchLayers&) = delete;
  TwoBatchLayers& operator=(const TwoBatchLayers&) = delete;

  void prepare(const StepBatch& batch);
  void layer(int step, int layer, int moe_layer);
  /// Ends what is under way, up to `layer`, for what comes after the MoE layers.
  void drain(int layer);

private:
  struct Half {
    StepBatch batch;
    RankTimes times;
    std::vector<double> attention;  ///< without the projection
    LayerTraffic loads;
    std::vector<double> experts;
    CollectiveTime dispatch, combine;
    int dispatched_layer = -1;          ///< the second half may be a layer behind
    std::vector<double> combine_bytes;  ///< of that layer
    CollectiveTime returning;           ///< its combine
  };

  void worked(int half, Cause cause, std::span<const Seconds> begin, std::span<const Seconds> end) override;
  void waited(int half, Cause cause, std::span<const Seconds> begin, std::span<const Seconds> end) override;
  void started(int half, Cause cause, Seconds begin, Seconds end) override;
  void tell(StreamWorked::Kind kind, int half, Cause cause, std::span<const Seconds> begin,
            std::span<const Seconds> end) const;
  int layer_of(int half, Cause cause) const;
  void draw(Half& half, int step, int layer, int moe_layer);
  HalfLayer work_of(const Half& half) const;
  void charge(int layer);

  const Scenario& scenario_;
  const Deployment& plan_;
  ExpertTraffic& traffic_;
  const ExpertPhase& experts_;
  Lockstep& group_;
  FluidTimer dispatch_time_, combine_time_;
  OverlapTimeline timeline_;
  TwoBatch order_;
  std::array<Half, 2> halves_;
  int layer_ = -1;
  Seconds origin_;  ///< of the timeline
};

}  // namespace moesim
