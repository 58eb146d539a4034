#pragma once
// Which rank is what: tensor, data and expert parallel groups (domain C, layouts L1 to L4).

#include <string>
#include <vector>

#include "models/llm/architecture.hpp"

namespace moesim {

/// As the scenario states it. attention.tp * attention.dp = experts.ep * experts.tp = ranks (pp = 1).
struct LayoutSpec {
  int attention_tp = 1;
  int attention_dp = 1;
  int expert_ep = 1;
  int expert_tp = 1;
  int pp = 1;
};

enum class AllToAll { automatic, deepep_low_latency, deepep_normal, allgather_reducescatter };

enum class LayoutKind {
  tensor,             ///< L1: TP attention, TP experts, two all-reduces per layer
  tensor_expert,      ///< L2: TP attention, whole experts spread over the same ranks, no dispatch, two all-reduces
  data_expert_gather, ///< L3: DP attention + EP, all-gather and reduce-scatter
  data_expert_a2a,    ///< L4: DP attention + EP, dispatch and combine all-to-all
};
std::string_view name_of(LayoutKind kind);

struct Layout {
  LayoutSpec spec;
  LayoutKind kind = LayoutKind::tensor;
  int ranks = 1;
  std::vector<std::vector<int>> attention_tp_groups;  ///< consecutive ranks
  std::vector<std::vector<int>> expert_tp_groups;
  std::vector<int> ep_group;   ///< every rank that shares the routed experts

  int dp_rank_of(int rank) const { return rank / spec.attention_tp; }
};

/// One line of layout arithmetic: "attention tp8 x dp1, experts ep8 x tp1 on 8 ranks".
std::string describe(const Layout& layout);

/// Throws InputError (a degree that does not divide what it splits: heads, experts, widths; more ranks than GPUs, naming
/// both numbers) and NotModelledYet for L5 to L8.
Layout make_layout(const LayoutSpec& spec, const Architecture& model, int gpus, AllToAll all_to_all);

}  // namespace moesim
