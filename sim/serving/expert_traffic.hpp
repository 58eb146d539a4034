#pragma once
// Loads and link bytes of one MoE layer in one step, by either sampler.

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "models/routing/routing.hpp"
#include "models/traffic/traffic.hpp"
#include "sim/serving/batch.hpp"
#include "sim/serving/deployment_plan.hpp"
#include "sim/serving/lockstep.hpp"
#include "sim/serving/token_routes.hpp"

namespace moesim {

struct LayerTraffic {
  std::vector<std::int32_t> expert_loads;   ///< [experts] tokens
  std::vector<std::int32_t> rows_per_slot;  ///< [slots] tokens
  std::vector<double> dispatch_bytes;       ///< [links], empty unless the layout dispatches
  std::vector<double> combine_bytes;        ///< [links]
  std::int64_t rows = 0;                    ///< that the slots must hold in all
  std::optional<CapacityCount> places;      ///< what a limit on places did, if there is one
  std::vector<double> copies_into;          ///< [placement ranks] token copies that arrive, only with expert TP
};

/// Steps of DeepSeek-V3 under the aggregate sampler against those under the token sampler, means of 50 (decode,
/// scenarios/): 144 GPUs +0.02 % (dispatch 0.0, experts +0.2, combine 0.0 %), 32 GPUs -0.3 % (dispatch -2.0: see
/// models/traffic/README.md; per rank -0.3 %, per node 0.0 %); Qwen3-235B, without groups, on 32 GPUs 0.0 %.
class ExpertTraffic {
public:
  /// By the plan's sampler; or by the token sampler with another seed, which is how the audit looks again.
  ExpertTraffic(const Scenario& scenario, const Deployment& plan, int stage = 0);
  ExpertTraffic(const Scenario& scenario, const Deployment& plan, int stage, Sampler sampler, std::uint64_t seed);

  /// Fills `out`, whose vectors keep their size from call to call.
  void draw(int step, int moe_layer, const StepBatch& batch, LayerTraffic& out);

  /// The same, and who sends to whom. Only with the token sampler and where ranks hold experts of their own or the
  /// layout dispatches.
  DispatchTraffic draw_tokens(int step, int moe_layer, const StepBatch& batch, LayerTraffic& out);

private:
  void choose_experts(int step, int moe_layer, const StepBatch& batch, LayerTraffic& out);
  void clear(LayerTraffic& out) const;
  void draw_whole_experts(int step, int moe_layer, const StepBatch& batch, LayerTraffic& out);
  void count_arrivals(const DispatchTraffic& dispatch, LayerTraffic& out) const;
  void draw_aggregate(int step, int moe_layer, const StepBatch& batch, LayerTraffic& out);
  void draw_loads(int step, int moe_layer, std::int64_t tokens, LayerTraffic& out) const;
  void split_over_replicas(int step, int moe_layer, LayerTraffic& out) const;
  void expect_bytes(int moe_layer, std::int64_t tokens, LayerTraffic& out);
  void scatter_bytes(int step, int moe_layer, LayerTraffic& out) const;
  void prepare_aggregate();
  void prepare_copies();
  std::size_t expert_node(int rank) const;

  /// Expected copies of a layer at its mean loads, per rank and per node.
  struct MeanCopies {
    std::vector<double> rank_chance, node_chance;  ///< a token has at least one expert there
    std::vector<double> rank_load, node_load;      ///< mean copies of a token there
  };

  /// Slots of the experts of a layer; those with one copy apart, because nearly all have one and the loop is hot.
  struct ReplicaMap {
    std::vector<std::pair<int, int>> single;                   ///< (expert, its slot)
    std::vector<std::pair<int, std::vector<int>>> replicated;  ///< (expert, its slots)
  };

  const Scenario& scenario_;
  const Deployment& plan_;
  const Topology& topology_;  ///< as the stage sees it
  Sampler sampler_;
  std::uint64_t seed_;
  bool dispatches_;
  std::optional<TokenRoutes> routes_;  ///< token sampler
  std::optional<AggregateSampler> aggregate_;
  std::optional<ExpectedLinkBytes> expected_;
  std::vector<ReplicaMap> replicas_;     ///< [layer]
  std::vector<MeanCopies> mean_copies_;  ///< [layer], dedup rules only
  std::vector<double> into_rank_, into_node_, back_rank_, back_node_;
  std::vector<double> spread_;  ///< [layer] CopyLaw::spread
  double fixed_ = 1;            ///< CopyLaw::fixed
};

/// What the metrics hear of a layer: its loads, and what a limit on places did.
void tell_loads(const Lockstep& group, const LayerTraffic& traffic, int layer, int moe_layer, std::int64_t tokens);

}  // namespace moesim
