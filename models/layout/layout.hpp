#pragma once
// Which rank is what: tensor, data and expert parallel groups (domain C, layouts L1 to L8 and L10).

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "models/llm/architecture.hpp"

namespace moesim {

/// As the scenario states it. attention.tp * attention.dp = experts.ep * experts.tp = ranks of a pipeline stage, of
/// which there are pp; experts with GPUs of their own need not be as many. A dense model has no experts: expert_ep = 1,
/// and expert_tp is 1 or repeats attention_tp, which splits its FFN.
struct LayoutSpec {
  int attention_tp = 1;
  int attention_dp = 1;
  int expert_ep = 1;
  int expert_tp = 1;
  int pp = 1;
  int microbatches = 1;             ///< that a step is cut into; 1 without a pipeline or pools
  std::vector<int> stage_layers{};  ///< [pp] layers of each stage, empty: even
  bool experts_apart = false;       ///< attention-FFN disaggregation (L10): routed experts on GPUs of their own
};

enum class AllToAll {
  automatic,
  deepep_low_latency,
  deepep_normal,
  allgather_reducescatter,
  pairwise,      ///< the vendor library's sends and receives, between each two ranks
  hierarchical,  ///< the same in two stages: inside the nodes to the receiver's rail, then along the rails
  one_sided,     ///< written straight into the receivers' memory over one NVLink domain
};

enum class LayoutKind {
  tensor,              ///< L1: TP attention, TP experts, two all-reduces per layer
  tensor_expert,       ///< L2: TP attention, whole experts spread over the same ranks, no dispatch, two all-reduces
  data_expert_gather,  ///< L3: DP attention + EP, all-gather and reduce-scatter
  data_expert_a2a,  ///< L4 to L7: DP attention (of TP groups in L5) + EP (of expert-TP groups in L6 and L7), dispatch
                    ///< and combine all-to-all; L10: the same between two pools of GPUs
};
std::string_view name_of(LayoutKind kind);
std::string_view name_of(AllToAll choice);

/// Groups number the ranks of a stage; stage s has the GPUs from s * ranks on, and its groups are alike. Experts apart
/// have ranks of their own, numbered from 0, on the GPUs behind those of attention.
struct Layout {
  LayoutSpec spec;  ///< with the layers of each stage
  LayoutKind kind = LayoutKind::tensor;
  int ranks = 1;                                      ///< of a stage; without those of experts apart
  std::vector<std::vector<int>> attention_tp_groups;  ///< consecutive ranks
  std::vector<std::vector<int>> expert_tp_groups;     ///< consecutive ranks that hold slices of the same experts
  std::vector<int> ep_group;  ///< every rank that shares the routed experts; empty for a dense model

  int expert_ranks() const { return spec.experts_apart ? spec.expert_ep * spec.expert_tp : ranks; }
  int first_expert_gpu() const { return spec.experts_apart ? ranks : 0; }
  /// That dispatch to each other: all of a stage, or of both pools.
  int dispatching_gpus() const { return first_expert_gpu() + expert_ranks(); }
  int gpus() const { return dispatching_gpus() * spec.pp; }
  int first_layer(int stage) const;
  int dp_rank_of(int rank) const { return rank / spec.attention_tp; }
  int expert_rank_of(int rank) const { return rank / spec.expert_tp; }
  /// The tokens of an attention TP group are spread over its ranks outside attention (sequence parallelism), because
  /// they go on to be dispatched: reduce-scatter after attention, all-gather before it.
  bool spreads_tokens() const { return spec.attention_tp > 1 && own_tokens(); }
  /// Ranks that share the width of the shared experts: dispatching layouts hold them whole, each for its own tokens.
  int shared_expert_tp() const { return own_tokens() ? 1 : spec.attention_tp; }

private:
  bool own_tokens() const { return spec.attention_dp > 1 || spec.experts_apart; }
};

/// One line of layout arithmetic: "attention tp8 x dp1, experts ep8 x tp1 on 8 ranks"; without experts for a dense
/// model.
std::string describe(const Layout& layout);

/// Checks a layout against the model and the cluster, and derives its groups. KV heads may be replicated (tp a multiple
/// of them). Fewer ranks than GPUs is allowed. Under attention dp > 1, allgather_reducescatter makes L3, all else an
/// all-to-all between expert ranks: GPU i of an expert TP group exchanges with GPU i of every other, and each group
/// then gathers what its GPUs received (L6, where groups are nodes, and L7).
///
/// redundant: physical expert slots beyond one per expert. Given, experts + redundant must divide over ep; left out,
/// that check is place()'s, which knows the slots. Throws InputError (a degree that does not divide what it splits:
/// heads, experts, widths; more ranks than GPUs, naming both numbers; an all-to-all asked of a layout that dispatches
/// nothing) and NotModelledYet.
Layout make_layout(const LayoutSpec& spec, const Architecture& model, int gpus, AllToAll all_to_all,
                   std::optional<int> redundant = std::nullopt);

/// The layers of one stage as a model of their own; vocabulary and head stay as they are.
Architecture model_of_stage(const Architecture& model, const Layout& layout, int stage);

}  // namespace moesim
