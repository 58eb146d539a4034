#pragma once
// Tokens that depend on the token before them, on the layer before, and on their request; loads stay what they were.

#include <memory>

#include "models/routing/mixture.hpp"
#include "models/routing/routing.hpp"

namespace moesim {

/// Every token of a layer is drawn from its domain's law by a stream of random words. Which stream is the model:
///   * with chance persistence[layer] that of the request's token before (same layer),
///   * else with chance `affinity` that of the same token in the layer before,
///   * else one of its own.
/// So a token repeats the experts of the one before, and P(S_{l+1} | S_l) = (1 - a) law_{l+1} + a affinity(S_l), where
/// the affinity sends the i-th popular expert of a layer to the i-th popular one of the next (order of equally popular
/// ones shuffled per layer; groups of a group-limited router likewise, by their load). Every single token's law is
/// exactly that of its domain, whatever the chances: the words are uniform and independent of the choice of stream.
struct Correlation {
  std::vector<double> persistence;  ///< [layers], in [0, 1)
  double affinity = 0;              ///< in [0, 1]
  int request_tokens = 0;           ///< see request_place.hpp
};

/// The domain of a request is drawn by the mixture's weights; position 0 of a request never repeats another.
std::unique_ptr<TokenSampler> make_correlated_sampler(const RouterShape& shape, const Mixture& mixture,
                                                      const Correlation& correlation, std::uint64_t seed);

/// For kinds mixture and markov. Throws InputError for persistence outside [0, 1), affinity outside [0, 1].
std::unique_ptr<TokenSampler> make_correlated_sampler(const RoutingSpec& spec, const Architecture& model,
                                                      const ExpertPopularity& popularity, std::uint64_t seed);

}  // namespace moesim
