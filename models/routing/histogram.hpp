#pragma once
// Measured loads per layer and expert.

#include <string>
#include <vector>

#include "models/routing/routing.hpp"

namespace moesim {

/// Sums of `count` per MoE layer and expert over the rows that pass `spec.where`, [layers * experts].
/// An expert without a row in a layer was not chosen there; each layer needs at least top_k experts that were.
/// Throws InputError, see expert_popularity.
std::vector<double> load_histogram(const RoutingSpec& spec, const Architecture& model);

}  // namespace moesim
