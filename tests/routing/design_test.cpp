#include <map>
#include <numeric>
#include <set>

#include "models/routing/design_fit.hpp"
#include "models/routing/shares.hpp"
#include "models/routing/token_tables.hpp"
#include "models/units/random.hpp"
#include "tests/catch_compat.hpp"
#include "tests/routing/models.hpp"

using namespace moesim;
using namespace moesim::testing;

namespace {

int groups_touched(const RouterShape& shape, unsigned set) {
  std::set<int> touched;
  for (int e = 0; e < shape.experts; ++e)
    if (set >> e & 1) touched.insert(e / shape.group_size());
  return static_cast<int>(touched.size());
}

double choose(int n, int k) {
  return k < 0 || k > n ? 0 : std::round(std::exp(std::lgamma(n + 1) - std::lgamma(k + 1) - std::lgamma(n - k + 1)));
}

/// Chance of every k-subset (as bits), by listing them: weight prod w_e times the ways to keep groups around it.
std::map<unsigned, double> listed(const RouterShape& shape, const ExpertOdds& odds) {
  std::map<unsigned, double> chance;
  double total = 0;
  for (unsigned set = 0; set < 1u << shape.experts; ++set) {
    if (__builtin_popcount(set) != shape.top_k) continue;
    const int touched = groups_touched(shape, set);
    double weight = choose(shape.groups - touched, shape.kept - touched);
    for (int e = 0; e < shape.experts; ++e)
      weight *= set >> e & 1 ? odds.take[static_cast<std::size_t>(e)] : odds.leave[static_cast<std::size_t>(e)];
    if (weight > 0) total += chance[set] = weight;
  }
  for (auto& [set, weight] : chance) weight /= total;
  return chance;
}

std::vector<double> random_inclusion(const RouterShape& shape, std::uint32_t seed, double concentration) {
  Random random{seed, Purpose::test, 1, 0};
  std::vector<double> shares;
  for (int e = 0; e < shape.experts; ++e) shares.push_back(random.gamma(concentration));
  return water_fill(shares, shape.top_k);
}

double largest_gap(const std::vector<double>& a, const std::vector<double>& b) {
  double gap = 0;
  for (std::size_t i = 0; i < a.size(); ++i) gap = std::max(gap, std::abs(a[i] - b[i]));
  return gap;
}

}  // namespace

TEST_CASE("Fitted weights give the wanted inclusion probabilities to 1e-10", "[routing]") {
  for (std::uint32_t seed = 0; seed < 200; ++seed) {
    Random random{seed, Purpose::test, 0, 0};
    const int experts = 2 + static_cast<int>(random.below(120));
    const int k = 1 + static_cast<int>(random.below(static_cast<std::uint32_t>(std::min(experts, 12))));
    INFO("seed " << seed << " top " << k << " of " << experts);
    const RouterShape shape{experts, k, 1, 1};
    const auto pi = random_inclusion(shape, seed, 0.1 + random.uniform());
    CHECK(largest_gap(TokenDesign{shape, pi}.inclusion(), pi) < 1e-10);
  }
}

TEST_CASE("Group-limited weights give the wanted inclusion probabilities to 1e-10", "[routing]") {
  for (std::uint32_t seed = 0; seed < 60; ++seed) {
    INFO("seed " << seed);
    const RouterShape shape{64, 6, 8, 3};
    const auto pi = random_inclusion(shape, seed, 2);
    if (!can_realise(shape, pi)) continue;
    CHECK(largest_gap(TokenDesign{shape, pi}.inclusion(), pi) < 1e-10);
  }
}

TEST_CASE("Inclusion, group covariance and hits agree with a list of all sets", "[routing]") {
  for (const auto& shape : {RouterShape{8, 2, 1, 1}, RouterShape{9, 4, 1, 1}, RouterShape{12, 3, 4, 2},
                            RouterShape{12, 4, 3, 2}, RouterShape{8, 2, 2, 1}}) {
    const auto pi = random_inclusion(shape, 5, 4);
    const TokenDesign design{shape, pi};
    std::vector<double> inclusion(pi.size(), 0.0), mark(pi.size(), 0.0);
    mark[1] = 1;
    mark[3] = 0.5;
    mark[pi.size() - 1] = 0.25;
    double hit = 0;
    std::vector<double> mean(static_cast<std::size_t>(shape.groups), 0.0);
    std::vector<double> product(mean.size() * mean.size(), 0.0);
    for (const auto& [set, chance] : listed(shape, design.odds())) {
      double missed = 1;
      std::vector<double> count(mean.size(), 0.0);
      for (std::size_t e = 0; e < pi.size(); ++e)
        if (set >> e & 1) {
          inclusion[e] += chance;
          missed *= 1 - mark[e];
          ++count[e / static_cast<std::size_t>(shape.group_size())];
        }
      hit += chance * (1 - missed);
      for (std::size_t g = 0; g < mean.size(); ++g) {
        mean[g] += chance * count[g];
        for (std::size_t h = 0; h < mean.size(); ++h) product[g * mean.size() + h] += chance * count[g] * count[h];
      }
    }
    CHECK(largest_gap(inclusion, pi) < 1e-10);
    CHECK(design.hit_chance(mark) == Approx(hit).epsilon(1e-12));
    const auto covariance = design.group_covariance();
    for (std::size_t g = 0; g < mean.size(); ++g)
      for (std::size_t h = 0; h < mean.size(); ++h)
        CHECK(std::abs(covariance[g * mean.size() + h] - (product[g * mean.size() + h] - mean[g] * mean[h])) < 1e-12);
  }
}

TEST_CASE("Drawn tokens have the law of the list, with heads and without", "[routing]") {
  for (const double concentration : {0.15, 50.0})
    for (const auto& shape :
         {RouterShape{8, 2, 1, 1}, RouterShape{9, 5, 1, 1}, RouterShape{12, 3, 4, 2}, RouterShape{12, 4, 3, 2}}) {
      auto pi = random_inclusion(shape, 11, concentration);
      if (!can_realise(shape, pi)) pi = random_inclusion(shape, 11, 3);
      const TokenDesign design{shape, pi};
      const TokenTables tables{design};
      INFO("top " << shape.top_k << " of " << shape.experts << " concentration " << concentration);
      std::map<unsigned, int> seen;
      std::vector<int> out(static_cast<std::size_t>(shape.top_k));
      constexpr int kDraws = 60000;
      Random random{3, Purpose::test, 0, 0};
      for (int i = 0; i < kDraws; ++i) {
        tables.draw(random, out);
        unsigned set = 0;
        for (const int e : out) set |= 1u << e;
        REQUIRE(__builtin_popcount(set) == shape.top_k);
        ++seen[set];
      }
      // Pearson's chi-squared over sets of at least 10 expected draws: mean = cells, deviation = sqrt(2 cells).
      double chi = 0, cells = 0;
      for (const auto& [set, chance] : listed(shape, design.odds())) {
        const double expected = chance * kDraws;
        if (expected < 10) continue;
        chi += std::pow(seen[set] - expected, 2) / expected;
        ++cells;
      }
      CHECK(chi < cells + 4.5 * std::sqrt(2 * cells));
    }
}

TEST_CASE("An expert that every token takes is always drawn, one without load never", "[routing]") {
  const RouterShape shape{6, 3, 1, 1};
  const std::vector<double> pi{0.5, 1, 0, 0.5, 0.6, 0.4};
  const TokenDesign design{shape, pi};
  CHECK(largest_gap(design.inclusion(), pi) < 1e-10);
  const TokenTables tables{design};
  Random random{1, Purpose::test, 0, 0};
  std::vector<int> out(3);
  for (int i = 0; i < 2000; ++i) {
    tables.draw(random, out);
    REQUIRE(std::count(out.begin(), out.end(), 1) == 1);
    REQUIRE(std::count(out.begin(), out.end(), 2) == 0);
  }
}

TEST_CASE("A router that keeps one group cannot favour experts of two", "[routing]") {
  // Each token stays in one of two groups, so experts 0 and 2 cannot both be taken by 80 % of the tokens.
  const RouterShape shape{4, 1, 2, 1};
  CHECK(can_realise(shape, std::vector<double>{0.8, 0.05, 0.1, 0.05}));
  const RouterShape two{4, 2, 2, 1};
  CHECK_FALSE(can_realise(two, std::vector<double>{0.8, 0.2, 0.8, 0.2}));
  CHECK_THROWS_WITH(TokenDesign(two, std::vector<double>{0.8, 0.2, 0.8, 0.2}),
                    "no law of this router has these inclusion probabilities");
  CHECK_THROWS_WITH(shape_of(deepseek_v3().moe->router, 256, 200), "top 200 of 256 experts in 4 of 8 groups");
}

TEST_CASE("Extreme popularity under a group-limited router is capped until it can be served", "[routing]") {
  const auto model = deepseek_v3(13);
  const auto popularity = expert_popularity(zipf(2.5), model, 3);
  for (int l = 0; l < popularity.layers; ++l) {
    const TokenDesign design{shape_of(model.moe->router, 256, 8), popularity.layer(l)};
    CHECK(largest_gap(design.inclusion(), {popularity.layer(l).begin(), popularity.layer(l).end()}) < 1e-10);
    CHECK(imbalance(popularity.layer(l)) > 10);  // still very skewed: uniform is 1, every token 32
  }
}

TEST_CASE("Conditioned normals get back the variances they were solved for", "[routing]") {
  for (std::uint32_t seed = 0; seed < 200; ++seed) {
    INFO("seed " << seed);
    Random random{seed, Purpose::test, 2, 0};
    const RouterShape shape{2 + static_cast<int>(random.below(40)), 1 + static_cast<int>(random.below(2)), 1, 1};
    std::vector<double> v;
    for (const double p : random_inclusion(shape, seed, 0.05 + random.uniform())) v.push_back(p * (1 - p));
    const auto c = unconditioned_variances(v);
    const double s = std::accumulate(c.begin(), c.end(), 0.0);
    for (std::size_t e = 0; e < v.size(); ++e) CHECK(std::abs((s > 0 ? c[e] - c[e] * c[e] / s : 0) - v[e]) < 1e-7);
  }
}
