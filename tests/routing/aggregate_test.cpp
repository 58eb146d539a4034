#include <algorithm>
#include <numeric>

#include "models/routing/fast_stream.hpp"
#include "models/routing/quantile_tables.hpp"
#include "models/routing/shares.hpp"
#include "models/routing/token_design.hpp"
#include "models/routing/token_tables.hpp"
#include "tests/catch_compat.hpp"
#include "tests/routing/models.hpp"

using namespace moesim;
using namespace moesim::testing;

namespace {

/// Loads of a step and layer token by token.
class TokenLoads {
public:
  TokenLoads(const Architecture& model, const ExpertPopularity& popularity, int layer)
      : tables_{TokenDesign{shape_of(model.moe->router, popularity.experts, popularity.top_k),
                            popularity.layer(layer)}},
        experts_(static_cast<std::size_t>(popularity.top_k)) {}

  void draw(std::uint32_t step, int tokens, std::span<std::int32_t> loads) {
    FastStream random{Random{77, Purpose::test, step, 0}};
    std::fill(loads.begin(), loads.end(), 0);
    for (int t = 0; t < tokens; ++t) {
      tables_.draw(random, experts_);
      for (const int e : experts_) ++loads[static_cast<std::size_t>(e)];
    }
  }

private:
  TokenTables tables_;
  std::vector<int> experts_;
};

struct Law {
  Moments experts, ranks;  // a quarter of the experts live on a rank
  double max_over_mean = 0, max_square = 0;
};

/// What a sampler's loads look like over many steps.
template <class Draw>
Law law_of(Draw draw, int experts, int steps) {
  const auto n = static_cast<std::size_t>(experts), on_rank = n / 4;
  Law law{Moments{n}, Moments{4}};
  std::vector<std::int32_t> loads(n), ranks(4);
  for (int step = 0; step < steps; ++step) {
    draw(static_cast<std::uint32_t>(step), loads);
    for (std::size_t r = 0; r < ranks.size(); ++r)
      ranks[r] = std::accumulate(loads.begin() + static_cast<std::ptrdiff_t>(r * on_rank),
                                 loads.begin() + static_cast<std::ptrdiff_t>((r + 1) * on_rank), 0);
    law.experts.add<std::int32_t>(loads);
    law.ranks.add<std::int32_t>(ranks);
    const double sum = std::accumulate(loads.begin(), loads.end(), 0.0);
    const double peak = *std::max_element(loads.begin(), loads.end()) * static_cast<double>(n) / sum;
    law.max_over_mean += peak / steps;
    law.max_square += peak * peak / steps;
  }
  return law;
}

struct Case {
  const char* name;
  Architecture model;
  RoutingSpec spec;
  int tokens;
};

std::vector<Case> cases() {
  const auto small = [](int groups, int kept) { return moe_model("small", 1, 0, 64, 6, groups, kept); };
  return {{"uniform", small(1, 1), {}, 400},
          {"zipf", small(1, 1), zipf(0.8), 400},
          {"zipf, many tokens", small(1, 1), zipf(0.8), 3000},
          {"grouped", small(8, 3), {}, 400},
          {"grouped zipf", small(8, 3), zipf(0.5), 1000},
          {"few tokens", small(1, 1), zipf(0.8), 130},
          {"very skewed", small(1, 1), zipf(1.6), 300},
          {"few experts", mixtral(), zipf(0.5), 200},
          {"one expert per token", moe_model("top-1", 1, 0, 16, 1), zipf(0.7), 500},
          {"DeepSeek-V3", deepseek_v3(4), zipf(0.4), 512}};
}

}  // namespace

TEST_CASE("Aggregate loads sum to k T and no expert gets more than every token", "[routing]") {
  for (const double exponent : {0.0, 0.8, 3.0})
    for (const auto& model : {deepseek_v3(5), ungrouped_v3(5), mixtral(), moe_model("top-1", 1, 0, 16, 1)}) {
      const auto popularity = expert_popularity(zipf(exponent), model, 1);
      const AggregateSampler sampler{model.moe->router, popularity, 1};
      std::vector<std::int32_t> loads(static_cast<std::size_t>(model.moe->experts));
      for (const std::int64_t tokens : {0, 1, 2, 50, 128, 129, 200, 1000, 18432, 1000000})
        for (std::uint32_t step = 0; step < 20; ++step) {
          INFO(model.name << " zipf " << exponent << " tokens " << tokens << " step " << step);
          sampler.draw(step, 0, tokens, loads);
          REQUIRE(std::accumulate(loads.begin(), loads.end(), std::int64_t{0}) == tokens * model.moe->top_k);
          REQUIRE(*std::min_element(loads.begin(), loads.end()) >= 0);
          REQUIRE(*std::max_element(loads.begin(), loads.end()) <= tokens);
        }
    }
}

TEST_CASE("Aggregate loads have the mean and variance of T draws and the tokens' covariance", "[routing]") {
  constexpr int kSteps = 6000;
  for (const auto& [name, model, spec, tokens] : cases()) {
    INFO(name << ", seed 6");
    const auto popularity = expert_popularity(spec, model, 6);
    const AggregateSampler sampler{model.moe->router, popularity, 6};
    const auto law =
        law_of([&, t = tokens](std::uint32_t step, std::span<std::int32_t> loads) { sampler.draw(step, 0, t, loads); },
               model.moe->experts, kSteps);
    const auto pi = popularity.layer(0);
    for (std::size_t e = 0; e < pi.size(); ++e) {
      const double mean = tokens * pi[e], variance = mean * (1 - pi[e]);
      INFO("expert " << e << " mean " << mean);
      // 4.5 deviations of the estimates; a variance's own is sqrt(2 + kurtosis) / sqrt(steps) of it, and 1 % is the
      // discreteness that the series leaves.
      CHECK(std::abs(law.experts.mean(e) - mean) <= 4.5 * std::sqrt(variance / kSteps) + 0.002 * std::sqrt(variance));
      const double spread = std::sqrt((2 + (variance > 0 ? 1 / variance : 0)) / kSteps);
      CHECK(std::abs(law.experts.variance(e) - variance) <= (4.5 * spread + 0.01) * variance);
    }
  }
}

TEST_CASE("Aggregate loads of ranks vary and peak as those of drawn tokens", "[routing]") {
  for (const auto& [name, model, spec, tokens] : cases()) {
    INFO(name << ", seed 6");
    const int steps = tokens * model.moe->top_k > 3000 ? 1000 : 2500;
    const auto pi_size = static_cast<std::size_t>(model.moe->experts);
    const auto popularity = expert_popularity(spec, model, 6);
    const AggregateSampler sampler{model.moe->router, popularity, 6};
    TokenLoads by_token{model, popularity, 0};
    const auto law =
        law_of([&, t = tokens](std::uint32_t step, std::span<std::int32_t> loads) { sampler.draw(step, 0, t, loads); },
               model.moe->experts, steps);
    const auto exact =
        law_of([&, t = tokens](std::uint32_t step, std::span<std::int32_t> loads) { by_token.draw(step, t, loads); },
               model.moe->experts, steps);
    // Two estimates of a variance differ by sqrt(2) sqrt(2/steps); of a correlation by sqrt(2/steps).
    for (std::size_t a = 0; a < 4; ++a)
      for (std::size_t b = 0; b <= a; ++b) {
        const double scale = std::sqrt(exact.ranks.variance(a) * exact.ranks.variance(b));
        INFO("ranks " << a << " " << b);
        CHECK(std::abs(law.ranks.covariance(a, b) - exact.ranks.covariance(a, b)) <
              (4.5 * 2 / std::sqrt(steps) + 0.015) * scale);
      }
    for (std::size_t a = 0; a < std::min(pi_size, std::size_t{12}); ++a)
      for (std::size_t b = 0; b < a; ++b) {
        const double scale = std::sqrt(exact.experts.variance(a) * exact.experts.variance(b));
        INFO("experts " << a << " " << b);
        CHECK(std::abs(law.experts.covariance(a, b) - exact.experts.covariance(a, b)) <
              (4.5 * std::sqrt(2.0 / steps) + 0.005) * scale + 1e-12);
      }
    const double noise = law.max_square - law.max_over_mean * law.max_over_mean + exact.max_square -
                         exact.max_over_mean * exact.max_over_mean;
    const double sigma = std::sqrt(std::max(0.0, noise) / steps);
    CHECK(std::abs(law.max_over_mean - exact.max_over_mean) < 4 * sigma + 0.003 * exact.max_over_mean);
  }
}

TEST_CASE("Group totals of aggregate loads have the exact covariance of the design", "[routing]") {
  const auto model = deepseek_v3(4);
  const auto popularity = expert_popularity(zipf(0.6), model, 2);
  const AggregateSampler sampler{model.moe->router, popularity, 2};
  const TokenDesign design{shape_of(model.moe->router, 256, 8), popularity.layer(0)};
  const auto exact = design.group_covariance();
  constexpr int kSteps = 20000, kTokens = 2048;
  Moments groups{8};
  std::vector<std::int32_t> loads(256), totals(8);
  for (std::uint32_t step = 0; step < kSteps; ++step) {
    sampler.draw(step, 0, kTokens, loads);
    for (std::size_t g = 0; g < 8; ++g)
      totals[g] = std::accumulate(loads.begin() + static_cast<std::ptrdiff_t>(32 * g),
                                  loads.begin() + static_cast<std::ptrdiff_t>(32 * (g + 1)), 0);
    groups.add<std::int32_t>(totals);
  }
  for (std::size_t g = 0; g < 8; ++g)
    for (std::size_t h = 0; h < 8; ++h) {
      const double scale = kTokens * std::sqrt(exact[g * 8 + g] * exact[h * 8 + h]);
      INFO("groups " << g << " " << h);
      CHECK(std::abs(groups.covariance(g, h) - kTokens * exact[g * 8 + h]) <
            (4.5 * std::sqrt(2.0 / kSteps) + 0.01) * scale);
    }
}

TEST_CASE("Idle experts are as many as E (1 - k/E)^T when tokens are few", "[routing]") {
  // V3, 200 tokens: 256 (1 - 1/32)^200 = 0.4473 idle
  const auto model = ungrouped_v3(4);
  const AggregateSampler sampler{model.moe->router, expert_popularity({}, model, 5), 5};
  std::vector<std::int32_t> loads(256);
  constexpr int kSteps = 15000;
  double idle = 0;
  for (std::uint32_t step = 0; step < kSteps; ++step) {
    sampler.draw(step, 0, 200, loads);
    idle += static_cast<double>(std::count(loads.begin(), loads.end(), 0));
  }
  const double expected = 256 * std::pow(1 - 1.0 / 32, 200);
  CHECK(std::abs(idle / kSteps - expected) < 3 * std::sqrt(expected / kSteps) + 0.01 * expected);
}

TEST_CASE("Small binomial quantiles cut the normal where the distribution function does", "[routing]") {
  const auto& table = SmallBinomial::get();
  const auto check = [&](double tokens, double chance) {
    double mass = std::pow(1 - chance, tokens), below = 0;
    for (int n = 0; n < 40; ++n) {
      below += mass;
      mass *= (tokens - n) / (n + 1) * chance / (1 - chance);
      if (below < 1e-4 || below > 1 - 1e-4) continue;
      INFO(tokens << " tokens, chance " << chance << ", n " << n << ", P(<= n) " << below);
      const double slack = 0.003 + 0.1 * chance;  // of the table, and of Bolshev's approximation
      CHECK(std::lround(table.at(tokens, chance, normal_quantile(below) - slack)) <= n);
      CHECK(std::lround(table.at(tokens, chance, normal_quantile(below) + slack)) > n);
    }
  };
  for (const double mean : {0.01, 0.06, 0.3, 1.0, 3.3, 7.0, 12.0, 13.5})
    for (const double tokens : {129.0, 300.0, 5000.0, 1e6}) check(tokens, mean / tokens);
}

TEST_CASE("The normal table has mean 0, variance 1 and exact tails", "[routing]") {
  const auto& table = NormalTable::get();
  double sum = 0, squares = 0, fourth = 0;
  constexpr int kPoints = 1 << 20;
  for (int i = 0; i < kPoints; ++i) {
    const double z = table.at((static_cast<std::uint32_t>(i) << 12) + 2048);
    sum += z;
    squares += z * z;
    fourth += z * z * z * z;
  }
  CHECK(std::abs(sum / kPoints) < 1e-4);
  CHECK(squares / kPoints == Approx(1).epsilon(1e-4));
  CHECK(fourth / kPoints == Approx(3).epsilon(1e-3));
  CHECK(table.at(0) == Approx(normal_quantile(0.5 / 4294967296.0)));
  CHECK(table.at(1u << 31) == Approx(0).margin(1e-6));
}

TEST_CASE("The same step and layer give the same loads, whatever was drawn before", "[routing]") {
  const auto model = ungrouped_v3(6);
  const AggregateSampler one{model.moe->router, expert_popularity({}, model, 1), 1},
      other{model.moe->router, expert_popularity({}, model, 1), 1};
  std::vector<std::int32_t> a(256), b(256);
  other.draw(1, 2, 4096, b);
  one.draw(5, 1, 4096, a);
  other.draw(5, 1, 4096, b);
  CHECK(a == b);
  other.draw(5, 2, 4096, b);
  CHECK(a != b);
  CHECK_THROWS_WITH(one.draw(0, 0, -1, a), "loads of 256 experts for -1 tokens");
}
