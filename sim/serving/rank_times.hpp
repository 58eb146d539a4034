#pragma once
// How long each rank computes in the parts of a step that do not depend on routing.

#include <memory>
#include <span>
#include <vector>

#include "models/kernels/kernel_times.hpp"
#include "sim/serving/batch.hpp"
#include "sim/serving/deployment_plan.hpp"

namespace moesim {

/// Seconds per rank [ranks], of one layer (head: of the step).
struct RankTimes {
  std::vector<double> attention, routing, shared, dense;
  std::vector<double> shared_beside;  ///< shared experts beside the routed ones: their work without their latency
  std::vector<double> head;           ///< with the extra operations
  std::vector<double> projection;     ///< the part of attention before its core
};

/// Equal batches are timed once; slow GPUs take longer for theirs. first_gpu : of the stage
RankTimes time_ranks(const Scenario& scenario, const Deployment& plan, const StepBatch& batch, int first_gpu = 0);

/// A rank's slots in `format`, as kernels are chosen and timed by.
ExpertShape expert_shape(const Scenario& scenario, const Deployment& plan, NumberFormat format);

/// Of the group's tokens those that enter the expert block of a rank with so many of its rows: with an all-to-all, as
/// many as have at least one of their top_k experts there; else all.
double entering_tokens(LayoutKind layout, double tokens, double own_rows, int top_k);

/// The grouped expert FFN of a layer on every rank. Experts of one format run together; each further format on a rank
/// is a grouped FFN of its own after the others, as engines launch a kernel per format.
class ExpertPhase {
public:
  /// first_gpu : of those that hold the experts
  ExpertPhase(const Scenario& scenario, const Deployment& plan, int first_gpu = 0);

  /// rows_per_slot [slots] -> seconds [ranks]. Under expert parallelism every placement rank has slots of its own; the
  /// GPUs of an expert TP group do the same work on a slice.
  void operator()(int moe_layer, std::span<const std::int32_t> rows_per_slot, std::span<double> seconds) const;

private:
  Seconds time_mixed(std::size_t first_slot, std::span<const std::int32_t> rows, double tokens) const;

  LayoutKind layout_;
  std::span<const double> speeds_;  ///< [ranks], empty: none is slow
  std::size_t placement_ranks_, slots_per_rank_;
  int top_k_;
  std::vector<std::unique_ptr<ExpertTimes>> kernels_;  ///< one per format in use
  std::vector<std::uint8_t> kernel_of_slot_;           ///< [layers * slots], empty when there is one
};

}  // namespace moesim
