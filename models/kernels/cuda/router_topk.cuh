#pragma once
// Router: the k best experts of every token and their combine weights. One warp per token.

#include "models/kernels/cuda/operands.hpp"
#include "models/kernels/cuda/primitives.cuh"

namespace moesim::cuda {

constexpr int kRouterThreads = 128;

MOESIM_DEVICE float warp_sum(float value) {
  for (int mask = kWarp / 2; mask > 0; mask /= 2) value += shuffle_xor(value, mask);
  return value;
}

/// What the choice goes by.
template <Scoring kScoring>
MOESIM_DEVICE float selection_score(const Router& router, int token, int expert) {
  const float logit =
      global_load(router.logits + static_cast<std::size_t>(token) * static_cast<std::size_t>(router.experts) + expert);
  if constexpr (kScoring == Scoring::softmax) return logit;
  return fast_divide(1.0f, 1.0f + fast_exp(-logit)) + global_load(router.bias + expert);
}

/// Blocks of kRouterThreads threads, one warp per token; at most 32 * kPerLane experts.
template <int kPerLane, Scoring kScoring>
MOESIM_KERNEL MOESIM_LAUNCH_BOUNDS(kRouterThreads, 1) router_topk(Router router) {
  constexpr float kTaken = -3.4e38f;
  const int token = (block_index() * block_threads() + thread_index()) / kWarp;
  if (token >= router.tokens) return;
  float scores[kPerLane];
  MOESIM_UNROLL
  for (int i = 0; i < kPerLane; ++i) {
    const int expert = i * kWarp + lane_index();
    scores[i] = expert < router.experts ? selection_score<kScoring>(router, token, expert) : kTaken;
  }
  float own_score = 0;  // lane j keeps the j-th choice
  int own_expert = 0;
  for (int choice = 0; choice < router.k; ++choice) {
    float best = kTaken;
    int expert = kPerLane * kWarp;
    MOESIM_UNROLL
    for (int i = 0; i < kPerLane; ++i)
      if (scores[i] > best) best = scores[i], expert = i * kWarp + lane_index();
    for (int mask = kWarp / 2; mask > 0; mask /= 2) {
      const float other = shuffle_xor(best, mask);
      const int other_expert = shuffle_xor(expert, mask);
      if (other > best || (other == best && other_expert < expert)) best = other, expert = other_expert;
    }
    MOESIM_UNROLL
    for (int i = 0; i < kPerLane; ++i)
      if (expert == i * kWarp + lane_index()) scores[i] = kTaken;
    if (lane_index() == choice) own_score = best, own_expert = expert;
  }
  const bool has = lane_index() < router.k;
  float weight = 0;
  if constexpr (kScoring == Scoring::softmax) {
    float best = has ? own_score : kTaken;
    for (int mask = kWarp / 2; mask > 0; mask /= 2) {
      const float other = shuffle_xor(best, mask);
      best = other > best ? other : best;
    }
    weight = has ? fast_exp(own_score - best) : 0.0f;
  } else {
    weight = has ? own_score - global_load(router.bias + own_expert) : 0.0f;
  }
  const float sum = warp_sum(weight);
  if (!has) return;
  const int slot = token * router.k + lane_index();
  global_store(router.chosen + slot, own_expert);
  global_store(router.weights + slot, fast_divide(weight, sum));
}

}  // namespace moesim::cuda
