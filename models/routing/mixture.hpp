#pragma once
// Requests of several domains, each with measured loads of its own.

#include <span>
#include <vector>

#include "models/llm/architecture.hpp"
#include "models/routing/routing.hpp"
#include "models/routing/token_design.hpp"

namespace moesim {

struct Mixture {
  std::vector<double> weights;            ///< [domains], sum 1
  std::vector<ExpertPopularity> domains;  ///< what each gives, realisable by the router
  std::vector<double> persistence;        ///< [layers], empty: the file has none
};

/// Domains of spec.file that spec.weights names. Throws InputError for a name that the file lacks, weights that are
/// negative or sum to 0, and as expert_popularity.
Mixture load_mixture(const RoutingSpec& spec, const Architecture& model);

/// Weighted mean over domains, [layers * experts].
std::vector<double> mean_inclusion(const Mixture& mixture);

/// Inclusion probabilities of one layer from shares of any scale: water-filled below the largest cap at which a token
/// law of the router exists, found within 2 % of the range.
std::vector<double> realisable_inclusion(const RouterShape& shape, std::span<const double> shares);

}  // namespace moesim
