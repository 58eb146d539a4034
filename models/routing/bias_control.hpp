#pragma once
// Load control while a router learns: expert collapse without it, even loads with it (domain rules D.5).

#include <cstdint>
#include <vector>

#include "models/routing/routing.hpp"

namespace moesim {

struct BiasControlSpec {
  int steps = 400;
  std::int64_t tokens = 512;  ///< of a step
  double rate = 0.001;        ///< gamma: b_e += gamma sign(mean - n_e); 0: no control. Source: DeepSeek-V3's report
  /// Stand-in for learning: an expert that gets more tokens improves faster and is preferred more, its mean logit grows
  /// by growth (n_e / mean - 1) a step. An assumption of the demonstration, not measured; 0: the logits stand still.
  double growth = 0.0005;
};

struct BiasControlStep {
  int step = 0;
  double max_over_mean = 1;
  double idle_share = 0;  ///< of experts without a token
  double bias_range = 0;  ///< largest minus smallest bias
};

/// One layer of a logit model (routing: sigma, spread; one domain) under the controller, a row per step before its
/// update. Throws std::invalid_argument for no steps, no tokens, or a negative or non-finite rate or growth.
std::vector<BiasControlStep> run_bias_control(const RoutingSpec& routing, const Architecture& model,
                                              const BiasControlSpec& spec, std::uint64_t seed);

}  // namespace moesim
