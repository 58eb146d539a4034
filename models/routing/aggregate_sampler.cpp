#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include <fmt/format.h>

#include "models/routing/aggregate_law.hpp"
#include "models/routing/deal.hpp"
#include "models/routing/fast_stream.hpp"
#include "models/routing/layer_designs.hpp"
#include "models/routing/quantile_tables.hpp"
#include "models/routing/routing.hpp"

namespace moesim {

namespace {

// Up to here the tokens themselves are drawn: exact, and as quick.
constexpr std::int64_t kTokenByToken = 128;
// Below this variance of a load its law is too skewed for the Cornish-Fisher series.
constexpr double kSmallVariance = 12;
// Each shift about takes the square root of the tokens that the sum is off by.
constexpr int kShifts = 3;

void draw_tokens(const AggregateLaw& law, std::int64_t tokens, FastStream& random, std::span<std::int32_t> loads) {
  std::fill(loads.begin(), loads.end(), 0);
  thread_local std::vector<int> chosen;
  chosen.resize(static_cast<std::size_t>(law.shape.top_k));
  for (std::int64_t t = 0; t < tokens; ++t) {
    law.tokens.draw(random, chosen);
    for (const int e : chosen) ++loads[static_cast<std::size_t>(e)];
  }
}

/// Standard normals with the law's correlations.
void draw_normals(const AggregateLaw& law, FastStream& random, std::span<double> z) {
  const NormalTable& normal = NormalTable::get();
  const auto size = static_cast<std::size_t>(law.shape.group_size()),
             groups = static_cast<std::size_t>(law.shape.groups);
  for (std::size_t e = 0; e + 1 < z.size(); e += 2) {
    const std::uint64_t words = random.bits64();
    z[e] = normal.at(static_cast<std::uint32_t>(words >> 32));
    z[e + 1] = normal.at(static_cast<std::uint32_t>(words));
  }
  if (z.size() % 2 != 0) z.back() = normal.at(random.bits());
  thread_local std::vector<double> between;
  between.resize(groups);
  if (groups > 1)
    for (double& value : between) value = normal.at(random.bits());
  for (std::size_t g = 0; g < groups; ++g) {
    double sum = 0;
    for (std::size_t e = g * size; e < (g + 1) * size; ++e) sum += law.root[e] * z[e];
    double group_total = 0;
    if (groups > 1)
      for (std::size_t h = 0; h <= g; ++h) group_total += law.group_factor[g * groups + h] * between[h];
    for (std::size_t e = g * size; e < (g + 1) * size; ++e)
      z[e] = law.own[e] * z[e] - law.shared[e] * sum + law.with_group[e] * group_total;
  }
}

/// The loads as real numbers: n lies where round() gives n.
void draw_levels(const AggregateLaw& law, double tokens, std::span<double> z) {
  const double grow = std::sqrt(tokens), shrink = 1 / grow;
  const SmallBinomial& binomial = SmallBinomial::get();
  std::size_t small = 0;
  while (small < z.size() && tokens * law.variance[static_cast<std::size_t>(law.by_variance[small])] < kSmallVariance)
    ++small;
  const auto exact = [&](std::size_t e) {
    return law.pi[e] < 0.5 ? binomial.at(tokens, law.pi[e], z[e]) : tokens - binomial.at(tokens, 1 - law.pi[e], -z[e]);
  };
  if (small == z.size()) {
    for (std::size_t e = 0; e < z.size(); ++e) z[e] = exact(e);
    return;
  }
  thread_local std::vector<double> kept;
  kept.resize(small);
  for (std::size_t i = 0; i < small; ++i) kept[i] = exact(static_cast<std::size_t>(law.by_variance[i]));
  for (std::size_t e = 0; e < z.size(); ++e) {
    const double slope = grow * law.sd[e] + shrink * law.wide[e] + z[e] * (law.skew[e] + z[e] * shrink * law.curve[e]);
    z[e] = tokens * law.pi[e] - law.skew[e] + z[e] * slope;
  }
  for (std::size_t i = 0; i < small; ++i) z[static_cast<std::size_t>(law.by_variance[i])] = kept[i];
}

/// Rounds after moving all levels by their share of a common shift, chosen so that the sum comes near k T.
/// Returns by how many tokens the sum still falls short.
std::int64_t round_levels(const AggregateLaw& law, std::int64_t tokens, std::span<const double> levels,
                          std::span<std::int32_t> loads) {
  const auto most = static_cast<double>(tokens);
  double shift = 0;
  for (int pass = 0;; ++pass) {
    std::int64_t sum = 0;
    for (std::size_t e = 0; e < loads.size(); ++e) {
      const double level = levels[e] + shift * law.share[e] + 0.5;
      loads[e] = static_cast<std::int32_t>(std::min(std::max(level, 0.0), most));
      sum += loads[e];
    }
    const std::int64_t missing = tokens * law.shape.top_k - sum;
    if (missing == 0 || pass == kShifts) return missing;
    shift += static_cast<double>(missing);
  }
}

/// Adds or takes single tokens at experts drawn in proportion to their variance.
void settle(const AggregateLaw& law, std::int64_t tokens, std::int64_t missing, FastStream& random,
            std::span<std::int32_t> loads) {
  const std::int32_t one = missing > 0 ? 1 : -1;
  const std::int32_t full = missing > 0 ? static_cast<std::int32_t>(tokens) : 0;
  for (int attempts = 0; missing != 0 && attempts < 10000; ++attempts) {
    std::int32_t& load = loads[static_cast<std::size_t>(law.spread.at(random.bits()))];
    if (load == full) continue;
    load += one;
    missing -= one;
  }
  for (std::size_t e = 0; missing != 0 && e < loads.size(); ++e)  // only if nearly all experts are at the bound
    if (law.variance[e] > 0)
      for (; missing != 0 && loads[e] != full; missing -= one) loads[e] += one;
}

}  // namespace

struct AggregateSampler::State {
  int experts, top_k;
  std::uint64_t seed;
  std::vector<std::shared_ptr<const AggregateLaw>> layers;
  std::vector<std::vector<int>> deals;  // kind balanced
};

AggregateSampler::AggregateSampler(const RouterSpec& router, const ExpertPopularity& popularity, std::uint64_t seed)
    : state_{new State{popularity.experts, popularity.top_k, seed, {}, {}}} {
  const RouterShape shape = shape_of(router, popularity.experts, popularity.top_k);
  if (popularity.round_robin)
    for (int l = 0; l < popularity.layers; ++l) state_->deals.push_back(deal_order(shape, seed, l));
  else
    state_->layers = for_each_design<AggregateLaw>(shape, popularity);
}

AggregateSampler::~AggregateSampler() = default;

void AggregateSampler::draw(std::uint32_t step, int layer, std::int64_t tokens, std::span<std::int32_t> loads) const {
  if (tokens < 0 || tokens > std::numeric_limits<std::int32_t>::max() ||
      loads.size() != static_cast<std::size_t>(state_->experts))
    throw std::invalid_argument{fmt::format("loads of {} experts for {} tokens", loads.size(), tokens)};
  if (!state_->deals.empty()) {
    const std::int64_t dealt = tokens * state_->top_k;
    for (std::size_t place = 0; place < loads.size(); ++place) {
      const auto expert = static_cast<std::size_t>(state_->deals[static_cast<std::size_t>(layer)][place]);
      loads[expert] = static_cast<std::int32_t>(dealt / state_->experts +
                                                (static_cast<std::int64_t>(place) < dealt % state_->experts ? 1 : 0));
    }
    return;
  }
  const AggregateLaw& law = *state_->layers[static_cast<std::size_t>(layer)];
  FastStream random{Random{state_->seed, Purpose::expert_loads, step, static_cast<std::uint32_t>(layer)}};
  if (tokens <= kTokenByToken) {
    draw_tokens(law, tokens, random, loads);
    return;
  }
  thread_local std::vector<double> z;
  z.resize(loads.size());
  draw_normals(law, random, z);
  draw_levels(law, static_cast<double>(tokens), z);
  settle(law, tokens, round_levels(law, tokens, z, loads), random, loads);
}

}  // namespace moesim
