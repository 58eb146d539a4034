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

constexpr float kTaken = -3.4e38f;  ///< below every score

/// The best of a warp's candidates, of equal ones the lower expert; the same in all lanes.
struct Candidate {
  float score;
  int expert;
};
MOESIM_DEVICE Candidate best_of_warp(Candidate own) {
  for (int mask = kWarp / 2; mask > 0; mask /= 2) {
    const Candidate other{shuffle_xor(own.score, mask), shuffle_xor(own.expert, mask)};
    if (other.score > own.score || (other.score == own.score && other.expert < own.expert)) own = other;
  }
  return own;
}

/// Takes all experts out of the choice but those of the `kept` groups of 32 whose two best scores sum highest.
template <int kPerLane>
MOESIM_DEVICE void keep_groups(float (&scores)[kPerLane], int kept) {
  float sums[kPerLane];
  MOESIM_UNROLL
  for (int group = 0; group < kPerLane; ++group) {
    const Candidate first = best_of_warp({scores[group], lane_index()});
    const Candidate second = best_of_warp({first.expert == lane_index() ? kTaken : scores[group], lane_index()});
    sums[group] = first.score + second.score;
  }
  MOESIM_UNROLL
  for (int group = 0; group < kPerLane; ++group) {
    int better = 0;
    MOESIM_UNROLL
    for (int other = 0; other < kPerLane; ++other)
      if (sums[other] > sums[group] || (sums[other] == sums[group] && other < group)) ++better;
    if (better >= kept) scores[group] = kTaken;
  }
}

/// Blocks of kRouterThreads threads, one warp per token; at most 32 * kPerLane experts.
template <int kPerLane, Scoring kScoring>
MOESIM_KERNEL MOESIM_LAUNCH_BOUNDS(kRouterThreads, 1) router_topk(Router router) {
  const int token = (block_index() * block_threads() + thread_index()) / kWarp;
  if (token >= router.tokens) return;
  float scores[kPerLane];
  MOESIM_UNROLL
  for (int i = 0; i < kPerLane; ++i) {
    const int expert = i * kWarp + lane_index();
    scores[i] = expert < router.experts ? selection_score<kScoring>(router, token, expert) : kTaken;
  }
  if (router.groups_kept > 0) keep_groups(scores, router.groups_kept);
  Candidate own{0, 0};  // lane j keeps the j-th choice
  for (int choice = 0; choice < router.k; ++choice) {
    Candidate best{kTaken, kPerLane * kWarp};
    MOESIM_UNROLL
    for (int i = 0; i < kPerLane; ++i)
      if (scores[i] > best.score) best = {scores[i], i * kWarp + lane_index()};
    best = best_of_warp(best);
    MOESIM_UNROLL
    for (int i = 0; i < kPerLane; ++i)
      if (best.expert == i * kWarp + lane_index()) scores[i] = kTaken;
    if (lane_index() == choice) own = best;
  }
  const bool has = lane_index() < router.k;
  float weight = 0;
  if constexpr (kScoring == Scoring::softmax) {
    const float best = best_of_warp({has ? own.score : kTaken, 0}).score;
    weight = has ? fast_exp(own.score - best) : 0.0f;
  } else {
    weight = has ? own.score - global_load(router.bias + own.expert) : 0.0f;
  }
  const float sum = warp_sum(weight);
  if (!has) return;
  const int slot = token * router.k + lane_index();
  global_store(router.chosen + slot, own.expert);
  global_store(router.weights + slot, fast_divide(weight, sum));
}

}  // namespace moesim::cuda
