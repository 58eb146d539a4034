#pragma once
// Continuous batching in its steady state, as steps of scenarios.

#include "sim/validate/measured_case.hpp"

namespace moesim {

/// A number of requests that stays the same: as soon as one has its last token the next one comes.
struct SteadyBatch {
  Replica replica;
  double requests = 0;  ///< on each attention-DP group, a whole number
  int prompt = 0, answer = 0;
};

/// Time from one token of a request to its next. Every step decodes all requests at the mean context, prompt + answer /
/// 2. While a request makes its `answer` tokens each of the others is replaced once, and its prompt is computed between
/// decode steps: (requests - 1) / answer prefills of a whole prompt per token.
WeightedSteps steady_batch(const SteadyBatch& batch);

/// The most requests of an attention-DP group that fit `share` of the device, up to `most`, each with `context` tokens
/// in the cache; 0: not even one. Throws InputError and NotModelledYet as a scenario does.
int most_requests(const Replica& replica, int context, int most, double share);

}  // namespace moesim
