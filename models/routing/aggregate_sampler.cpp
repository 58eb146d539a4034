#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
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

void draw_normals(FastStream& random, std::span<double> g) {
  const NormalTable& normal = NormalTable::get();
  for (std::size_t e = 0; e + 1 < g.size(); e += 2) {
    const std::uint64_t words = random.bits64();
    g[e] = normal.at(static_cast<std::uint32_t>(words >> 32));
    g[e + 1] = normal.at(static_cast<std::uint32_t>(words));
  }
  if (g.size() % 2 != 0) g.back() = normal.at(random.bits());
}

/// sum a_i b_i, in four sums so that additions need not wait for each other.
double dot(const double* a, const double* b, std::size_t n) {
  double sum[4] = {};
  std::size_t i = 0;
  for (; i + 4 <= n; i += 4)
    for (std::size_t j = 0; j < 4; ++j) sum[j] += a[i + j] * b[i + j];
  for (; i < n; ++i) sum[0] += a[i] * b[i];
  return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

/// Independent normals to deviations with the law's covariance, in place.
void correlate(const AggregateLaw& law, FastStream& random, std::span<double> x) {
  const auto size = static_cast<std::size_t>(law.shape.group_size());
  const auto groups = static_cast<std::size_t>(law.shape.groups);
  thread_local std::vector<double> between;
  between.resize(groups);
  if (groups > 1) draw_normals(random, between);
  for (std::size_t g = 0; g < groups; ++g) {
    double* const first = x.data() + g * size;
    const double* const root = law.root.data() + g * size;
    const double common = dot(root, first, size) * law.group_scale[g];
    for (std::size_t i = 0; i < size; ++i) first[i] = root[i] * (first[i] - root[i] * common);
    if (groups == 1) return;
    const double count = dot(law.group_factor.data() + g * groups, between.data(), g + 1);
    for (std::size_t i = 0; i < size; ++i) first[i] += law.slope[g * size + i] * count;
  }
}

/// Loads as real numbers whose rounding is the load, from deviations in place: mean T pi, deviation sqrt(T) x, and the
/// Cornish-Fisher terms of the binomial law (Abramowitz, Stegun, 26.2.49).
void expand(const AggregateLaw& law, double tokens, std::span<double> x) {
  const double grow = std::sqrt(tokens), shrink = 1 / grow;
  // Rounding to whole tokens adds 1/12 to a variance (Sheppard). The rounding and the skew of all experts leave a sum
  // that is off with variance 1/12 + 2/36 each; every expert takes its share of that back (round_levels), and about one
  // token is then placed at random (settle). The normal's variance makes up for it all.
  const double settled = (0.8 - 1.0 / 12 - 2.0 / 36) / law.total_variance;
  // With skewness (1 - 2 pi)/sqrt(T v) and excess kurtosis (1 - 6 v)/(T v), the third-order terms
  //   (z^3 - 3 z) (1 - 6 v)/24 - (2 z^3 - 5 z) (1 - 2 pi)^2/36 - z (1/12 + settled v)/2
  // come to z (linear + cubic z^2) below, since (1 - 2 pi)^2 = 1 - 4 v.
  const double most = tokens;
  for (std::size_t e = 0; e < x.size(); ++e) {
    const double pi = law.pi[e], variance = pi * (1 - pi), precision = law.inverse_sd[e] * law.inverse_sd[e];
    const double square = x[e] * x[e] * precision;
    const double linear = (7.0 / 36 - settled / 2) * variance - 1.0 / 36, cubic = (-1.0 / 36) * variance - 1.0 / 72;
    const double slope = grow + shrink * precision * (linear + cubic * square);
    const double level = tokens * pi + x[e] * slope + (1.0 / 6 - 1.0 / 3 * pi) * (square - 1);
    x[e] = std::min(std::max(level, 0.0), most);
  }
}

/// As expand, with the exact law where loads vary little.
void draw_levels(const AggregateLaw& law, double tokens, std::span<double> x) {
  const auto small = static_cast<std::size_t>(
      std::lower_bound(law.variances.begin(), law.variances.end(), kSmallVariance / tokens) - law.variances.begin());
  const SmallBinomial& binomial = SmallBinomial::get();
  thread_local std::vector<double> exact;
  exact.resize(small);
  for (std::size_t i = 0; i < small; ++i) {
    const auto e = static_cast<std::size_t>(law.by_variance[i]);
    const double pi = law.pi[e], z = x[e] * law.inverse_sd[e];
    exact[i] = pi < 0.5 ? binomial.at(tokens, pi, z) : tokens - binomial.at(tokens, 1 - pi, -z);
  }
  if (small < x.size()) expand(law, tokens, x);
  for (std::size_t i = 0; i < small; ++i) x[static_cast<std::size_t>(law.by_variance[i])] = exact[i];
}

/// Rounds after moving all levels by their share of a common shift, chosen so that the sum comes near k T.
/// Returns by how many tokens the sum still falls short.
std::int32_t round_levels(const AggregateLaw& law, std::int64_t tokens, std::span<const double> levels,
                          std::span<std::int32_t> loads) {
  const double* const pi = law.pi.data();
  const auto level = [&](std::size_t e, double shift) { return levels[e] + shift * (pi[e] * (1 - pi[e])) + 0.5; };
  // Sums are near enough to k T for their difference to be right modulo 2^32.
  const auto wanted = static_cast<std::uint32_t>(tokens * law.shape.top_k);
  double shift = 0;
  for (int i = 0; i < kShifts; ++i) {
    std::uint32_t sum = 0;
    for (std::size_t e = 0; e < levels.size(); ++e)
      sum += static_cast<std::uint32_t>(static_cast<std::int32_t>(level(e, shift)));
    if (sum == wanted) break;
    shift += static_cast<std::int32_t>(wanted - sum) / law.total_variance;
  }
  const auto most = static_cast<double>(tokens);
  std::uint32_t sum = 0;
  for (std::size_t e = 0; e < levels.size(); ++e) {
    loads[e] = static_cast<std::int32_t>(std::min(std::max(level(e, shift), 0.0), most));
    sum += static_cast<std::uint32_t>(loads[e]);
  }
  return static_cast<std::int32_t>(wanted - sum);
}

/// Adds or takes single tokens at experts drawn in proportion to their variance.
void settle(const AggregateLaw& law, std::int64_t tokens, std::int32_t missing, FastStream& random,
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
    if (law.inverse_sd[e] > 0)
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
  thread_local std::vector<double> levels;
  levels.resize(loads.size());
  draw_normals(random, levels);
  correlate(law, random, levels);
  draw_levels(law, static_cast<double>(tokens), levels);
  settle(law, tokens, round_levels(law, tokens, levels, loads), random, loads);
}

}  // namespace moesim
