#pragma once
// Offloaded experts come to the GPUs that want them.

#include <cstdint>
#include <span>
#include <vector>

#include "sim/serving/deployment_plan.hpp"

namespace moesim {

/// What one MoE layer of one step fetched.
struct Fetched {
  std::int64_t wanted = 0;  ///< slots with rows, over all ranks
  double missed = 0;        ///< of them; a given hit rate makes it an expectation
  Bytes bytes;              ///< over all GPUs
};

/// By the rule of OffloadSpec. A fetch costs its bytes over the bandwidth, without a latency: experts are megabytes.
class ExpertFetch {
public:
  ExpertFetch(const Scenario& scenario, const Deployment& plan);

  /// rows_per_slot [slots] -> seconds [ranks]; GPUs of an expert TP group fetch a slice each.
  Fetched operator()(int moe_layer, std::span<const std::int32_t> rows_per_slot, std::span<double> seconds) const;

private:
  std::size_t placement_ranks_, slots_per_rank_;
  BytesPerSecond bandwidth_;
  std::vector<double> miss_;   ///< [layers * slots] chance that a wanted slot has to be fetched
  std::vector<double> bytes_;  ///< [layers * slots] of a GPU, when it has
};

}  // namespace moesim
