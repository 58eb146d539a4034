#include "models/routing/mixture.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "models/routing/histogram.hpp"
#include "models/units/error.hpp"

namespace moesim {

namespace {

ExpertPopularity popularity_of(const Histograms::Domain& domain, const Architecture& model) {
  const MoeSpec& moe = *model.moe;
  const RouterShape shape = shape_of(moe.router, moe.experts, moe.top_k);
  ExpertPopularity popularity{model.moe_layers(), moe.experts, moe.top_k, {}, false};
  const auto experts = static_cast<std::size_t>(moe.experts);
  for (std::size_t first = 0; first < domain.counts.size(); first += experts) {
    const auto inclusion = realisable_inclusion(shape, std::span{domain.counts}.subspan(first, experts));
    popularity.inclusion.insert(popularity.inclusion.end(), inclusion.begin(), inclusion.end());
  }
  return popularity;
}

const Histograms::Domain& find(const Histograms& histograms, const std::string& name, const RoutingSpec& spec) {
  std::vector<std::string> names;
  for (const auto& domain : histograms.domains) {
    if (domain.name == name) return domain;
    names.push_back(domain.name);
  }
  throw InputError{"routing.weights", fmt::format("{} \"{}\"", spec.domain_column, name),
                   fmt::format("a {} of {}: {}", spec.domain_column, spec.file, fmt::join(names, ", ")),
                   nearest(name, names)};
}

}  // namespace

Mixture load_mixture(const RoutingSpec& spec, const Architecture& model) {
  double sum = 0;
  for (const auto& [name, weight] : spec.weights) {
    if (!std::isfinite(weight) || weight < 0)
      throw InputError{"routing.weights", fmt::format("{} for {}", weight, name), "a finite number >= 0"};
    sum += weight;
  }
  if (!(sum > 0)) throw InputError{"routing.weights", "weights that sum to 0", "a positive weight"};
  const Histograms histograms = load_histograms(spec, model, spec.domain_column);
  Mixture mixture;
  for (const auto& [name, weight] : spec.weights) {
    const Histograms::Domain& domain = find(histograms, name, spec);
    if (weight == 0) continue;
    mixture.weights.push_back(weight / sum);
    mixture.domains.push_back(popularity_of(domain, model));
  }
  mixture.persistence = histograms.persistence;
  return mixture;
}

std::vector<double> mean_inclusion(const Mixture& mixture) {
  std::vector<double> mean(mixture.domains.front().inclusion.size(), 0.0);
  for (std::size_t d = 0; d < mixture.domains.size(); ++d)
    for (std::size_t i = 0; i < mean.size(); ++i) mean[i] += mixture.weights[d] * mixture.domains[d].inclusion[i];
  return mean;
}

}  // namespace moesim
