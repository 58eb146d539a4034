#pragma once
// Measured loads per layer and expert.

#include <string>
#include <string_view>
#include <vector>

#include "models/routing/routing.hpp"

namespace moesim {

struct Histograms {
  struct Domain {
    std::string name;
    std::vector<double> counts;  ///< [layers * experts]
  };
  std::vector<Domain> domains;      ///< by name
  std::vector<double> persistence;  ///< [layers], in [0, 1); empty without such a column
};

/// As load_histogram, apart for every value of `domain_column` (empty: all rows are one domain). A column
/// `persistence` holds one value per layer. Throws InputError also for a domain that lacks layers.
Histograms load_histograms(const RoutingSpec& spec, const Architecture& model, std::string_view domain_column);

/// Sums of `count` per MoE layer and expert over the rows that pass `spec.where`, [layers * experts].
/// An expert without a row in a layer was not chosen there; each layer needs at least top_k experts that were.
/// Throws InputError, see expert_popularity.
std::vector<double> load_histogram(const RoutingSpec& spec, const Architecture& model);

}  // namespace moesim
