#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

#include <fmt/format.h>

#include "models/routing/histogram.hpp"
#include "models/routing/logits.hpp"
#include "models/routing/mixture.hpp"
#include "models/routing/routing.hpp"
#include "models/routing/shares.hpp"
#include "models/routing/token_design.hpp"
#include "models/units/error.hpp"
#include "models/units/random.hpp"

namespace moesim {

namespace {

/// Zipf shares in a random order of the experts, another in every layer.
std::vector<double> shuffled_zipf(int experts, double exponent, Random random) {
  auto shares = zipf_shares(experts, exponent);
  for (std::size_t i = shares.size(); i > 1; --i)
    std::swap(shares[i - 1], shares[random.below(static_cast<std::uint32_t>(i))]);
  return shares;
}

/// Dir(a, ..., a) by gamma variates.
std::vector<double> dirichlet(int experts, double concentration, Random random) {
  std::vector<double> shares(static_cast<std::size_t>(experts));
  for (double& share : shares) share = random.gamma(concentration);
  // All variates of a tiny concentration may underflow: the limit law has all weight on one expert.
  if (std::ranges::all_of(shares, [](double share) { return share == 0; }))
    shares[random.below(static_cast<std::uint32_t>(experts))] = 1;
  return shares;
}

std::vector<double> trace_counts(const RoutingSpec& spec, const Architecture& model) {
  const RoutingTrace trace = load_routing_trace(spec.file, model);
  const auto experts = static_cast<std::size_t>(model.moe->experts);
  std::vector<double> counts(static_cast<std::size_t>(trace.layers) * experts, 0.0);
  for (int t = 0; t < trace.tokens; ++t)
    for (int l = 0; l < trace.layers; ++l)
      for (const std::int16_t e : trace.token(t, l))
        ++counts[static_cast<std::size_t>(l) * experts + static_cast<std::size_t>(e)];
  return counts;
}

/// A necessary condition: popular experts keep their group, and a kept group takes at most k.
bool fits_kept_groups(const RouterShape& shape, std::span<const double> inclusion) {
  const auto size = static_cast<std::size_t>(shape.group_size());
  double kept = 0;
  for (std::size_t g = 0; g < static_cast<std::size_t>(shape.groups); ++g) {
    const auto group = inclusion.subspan(g * size, size);
    const double load = std::accumulate(group.begin(), group.end(), 0.0);
    kept += std::max(*std::max_element(group.begin(), group.end()), load / shape.top_k);
  }
  return kept <= shape.kept;
}

}  // namespace

std::vector<double> realisable_inclusion(const RouterShape& shape, std::span<const double> shares) {
  const auto works = [&](const std::vector<double>& inclusion) {
    return shape.groups == 1 || (fits_kept_groups(shape, inclusion) && can_realise(shape, inclusion));
  };
  auto best = water_fill(shares, shape.top_k);
  if (works(best)) return best;
  const double uniform = static_cast<double>(shape.top_k) / shape.experts;
  best.assign(shares.size(), uniform);
  double low = uniform, high = 1;
  for (int i = 0; i < 6; ++i) {
    const double cap = (low + high) / 2;
    auto inclusion = water_fill(shares, shape.top_k, cap);
    const bool possible = works(inclusion);
    (possible ? low : high) = cap;
    if (possible) best = std::move(inclusion);
  }
  return best;
}

namespace {

/// Independent lognormal shares of median 1.
std::vector<double> lognormal(int experts, double sigma, Random random) {
  std::vector<double> shares(static_cast<std::size_t>(experts));
  for (double& share : shares) share = std::exp(sigma * random.normal());
  return shares;
}

/// Independent loads of density ~ x^-alpha on [least, most], by the inverse of the distribution function.
std::vector<double> power_law(const RoutingSpec& spec, int experts, Random random) {
  std::vector<double> loads(static_cast<std::size_t>(experts));
  for (double& load : loads) load = power_law_quantile(spec.alpha, spec.least, spec.most, random.uniform());
  return loads;
}

void check_parameters(const RoutingSpec& spec) {
  if (spec.kind == RoutingKind::zipf && !(std::isfinite(spec.exponent) && spec.exponent >= 0))
    throw InputError{"routing.exponent", fmt::format("{}", spec.exponent), "a finite number >= 0"};
  if (spec.kind == RoutingKind::dirichlet && !(std::isfinite(spec.concentration) && spec.concentration > 0))
    throw InputError{"routing.concentration", fmt::format("{}", spec.concentration), "a finite number > 0"};
  if (spec.kind == RoutingKind::power_law && !(spec.most >= spec.least))
    throw InputError{"routing.max", fmt::format("{}", spec.most), fmt::format("at least routing.min, {}", spec.least)};
}

/// Shares of one layer, any scale; empty where no formula gives them.
std::vector<double> shares_of_layer(const RoutingSpec& spec, int experts, Random random) {
  switch (spec.kind) {
    case RoutingKind::zipf:
    case RoutingKind::markov:
      return shuffled_zipf(experts, spec.exponent, random);
    case RoutingKind::dirichlet:
      return dirichlet(experts, spec.concentration, random);
    case RoutingKind::lognormal:
      return lognormal(experts, spec.sigma, random);
    case RoutingKind::power_law:
      return power_law(spec, experts, random);
    default:
      return {};
  }
}

}  // namespace

ExpertPopularity expert_popularity(const RoutingSpec& spec, const Architecture& model, std::uint64_t seed) {
  if (!model.moe) throw std::invalid_argument{model.name + " has no experts to route to"};
  check_parameters(spec);
  const MoeSpec& moe = *model.moe;
  const RouterShape shape = shape_of(moe.router, moe.experts, moe.top_k);
  ExpertPopularity popularity{model.moe_layers(), moe.experts, moe.top_k, {}, spec.kind == RoutingKind::balanced};
  const auto experts = static_cast<std::size_t>(moe.experts);
  if (spec.kind == RoutingKind::mixture) {
    popularity.inclusion = mean_inclusion(load_mixture(spec, model));
    return popularity;
  }
  std::vector<double> counts;
  if (spec.kind == RoutingKind::histogram) counts = load_histogram(spec, model);
  if (spec.kind == RoutingKind::trace) counts = trace_counts(spec, model);
  if (spec.kind == RoutingKind::logits) counts = estimate_inclusion(spec, model, seed);
  for (int l = 0; l < popularity.layers; ++l) {
    const Random random{seed, Purpose::popularity, 0, static_cast<std::uint32_t>(l)};
    auto shares = shares_of_layer(spec, moe.experts, random);
    if (!counts.empty()) {
      const auto first = counts.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(l) * experts);
      shares.assign(first, first + moe.experts);
    }
    const auto inclusion = shares.empty() ? std::vector<double>(experts, static_cast<double>(moe.top_k) / moe.experts)
                                          : realisable_inclusion(shape, shares);
    popularity.inclusion.insert(popularity.inclusion.end(), inclusion.begin(), inclusion.end());
  }
  return popularity;
}

}  // namespace moesim
