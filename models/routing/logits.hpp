#pragma once
// Tokens as router logits: mean of the expert for the request's domain, plus noise of the token.

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "models/routing/router.hpp"
#include "models/routing/routing.hpp"

namespace moesim {

/// logit = mean[domain][layer][expert] + sigma z, z ~ N(0, 1) of (step, layer, token, expert). Means are spread * N(0,
/// 1). A request keeps its domain (all equally likely); requests as in RequestPlace.
class LogitModel {
public:
  LogitModel(const RoutingSpec& spec, const Architecture& model, std::uint64_t seed);

  int layers() const { return layers_; }
  int experts() const { return experts_; }
  /// Logits of one token, [experts].
  void draw(std::uint32_t step, int layer, std::uint32_t token, std::span<double> logits) const;
  /// Mean logits of a domain in a layer, [experts].
  std::span<double> mean(int domain, int layer);
  std::span<const double> mean(int domain, int layer) const;

private:
  std::size_t first(int domain, int layer) const;

  int layers_, experts_, domains_, request_tokens_;
  double sigma_;
  std::uint64_t seed_;
  std::vector<double> mean_;  // [domains][layers][experts]
};

/// Experts by the router from the logits.
std::unique_ptr<TokenSampler> make_logit_sampler(const RoutingSpec& spec, const Architecture& model,
                                                 std::uint64_t seed);

/// Every expert takes the C = ceil(factor k T / E) tokens of the step that score highest with it (softmax over experts;
/// equal scores: the earlier token), so that loads are equal and tokens have 0 to E experts (Zhou et al., "Mixture-of-
/// Experts with Expert Choice Routing", 2022).
std::unique_ptr<TokenSampler> make_expert_choice_sampler(const RoutingSpec& spec, const Architecture& model,
                                                         std::uint64_t seed);

/// Chance that a token takes each expert, [layers * experts], estimated from 2,048 tokens per layer that no step uses;
/// never taken counts as half a token, so that every expert keeps a share.
std::vector<double> estimate_inclusion(const RoutingSpec& spec, const Architecture& model, std::uint64_t seed);

}  // namespace moesim
