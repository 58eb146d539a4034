#include "models/deployment/rank_share.hpp"

#include <algorithm>
#include <cmath>

namespace moesim {
namespace {

/// Fullest over mean rank that engines must have room for [assumed], see expert_rows.
constexpr double kRowsOverMean = 2;

}  // namespace

int kv_heads_of_rank(const Architecture& model, int tp) {
  return std::max(1, model.attention.kv_heads / tp);
}

int kv_block_tokens(const Architecture& model) {
  return model.attention.kind == AttentionKind::mla ? 64 : 16;
}

int slots_of_rank(const MemoryInputs& in) {
  if (!in.model.moe) return 0;
  if (in.slots_per_rank > 0) return in.slots_per_rank;
  return static_cast<int>(rounded_up(in.model.moe->experts, in.layout.spec.expert_ep));
}

int resident_slots_of_rank(const MemoryInputs& in) {
  const int slots = slots_of_rank(in);
  return in.resident_slots < 0 ? slots : std::min(in.resident_slots, slots);
}

AllToAll all_to_all_of(const MemoryInputs& in) {
  if (in.all_to_all != AllToAll::automatic) return in.all_to_all;
  return in.batch.phase == Phase::decode ? AllToAll::deepep_low_latency : AllToAll::deepep_normal;
}

double dispatched_tokens(const MemoryInputs& in) {
  return std::ceil(in.batch.tokens() / (in.layout.spreads_tokens() ? in.layout.spec.attention_tp : 1));
}

double expert_rows(const MemoryInputs& in) {
  if (!in.model.moe) return 0;
  const double tokens = std::ceil(in.batch.tokens()), slots = slots_of_rank(in), top_k = in.model.moe->top_k;
  const bool own_tokens = in.layout.spec.attention_dp > 1 || in.layout.spec.experts_apart;
  // The ranks of an attention TP group work on the same tokens.
  const double group_tokens = own_tokens ? tokens * in.layout.spec.attention_dp : tokens;  // TP ranks hold the same
  if (in.layout.kind == LayoutKind::data_expert_a2a && all_to_all_of(in) == AllToAll::deepep_low_latency)
    return slots * group_tokens;
  const double mean = group_tokens * top_k / in.layout.spec.expert_ep;
  return std::min(group_tokens * std::min(top_k, slots), std::ceil(kRowsOverMean * mean));
}

}  // namespace moesim
