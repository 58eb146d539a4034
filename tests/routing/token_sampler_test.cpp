#include <algorithm>
#include <set>

#include "models/routing/deal.hpp"
#include "models/units/error.hpp"
#include "models/units/random.hpp"
#include "tests/catch_compat.hpp"
#include "tests/routing/models.hpp"

using namespace moesim;
using namespace moesim::testing;

namespace {

std::unique_ptr<TokenSampler> sampler_of(const RoutingSpec& spec, const Architecture& model, std::uint64_t seed) {
  return make_token_sampler(spec, model, expert_popularity(spec, model, seed), seed);
}

double active_experts(TokenSampler& sampler, std::uint32_t step, int tokens) {
  std::set<int> active;
  std::vector<int> experts(static_cast<std::size_t>(sampler.top_k()));
  for (int t = 0; t < tokens; ++t) {
    sampler.draw(step, 0, static_cast<std::uint32_t>(t), experts);
    active.insert(experts.begin(), experts.end());
  }
  return static_cast<double>(active.size());
}

}  // namespace

TEST_CASE("A token takes k distinct experts of at most the kept groups", "[routing]") {
  const auto sampler = sampler_of(zipf(1.0), deepseek_v3(6), 9);
  std::vector<int> experts(8);
  for (std::uint32_t t = 0; t < 5000; ++t) {
    sampler->draw(t % 7, static_cast<int>(t % 3), t, experts);
    const std::set<int> distinct{experts.begin(), experts.end()};
    std::set<int> groups;
    for (const int e : distinct) groups.insert(e / 32);
    REQUIRE(distinct.size() == 8);
    REQUIRE(groups.size() <= 4);
    REQUIRE((*distinct.begin() >= 0 && *distinct.rbegin() < 256));
  }
}

TEST_CASE("Experts are taken as often as their popularity says", "[routing]") {
  for (const auto& model : {deepseek_v3(5), ungrouped_v3(5), mixtral()}) {
    const auto popularity = expert_popularity(zipf(0.8), model, 21);
    const auto sampler = make_token_sampler(zipf(0.8), model, popularity, 21);
    const int layer = model.moe_layers() - 1;
    std::vector<int> taken(static_cast<std::size_t>(model.moe->experts), 0),
        experts(static_cast<std::size_t>(model.moe->top_k));
    constexpr int kTokens = 60000;
    for (std::uint32_t t = 0; t < kTokens; ++t) {
      sampler->draw(3, layer, t, experts);
      for (const int e : experts) ++taken[static_cast<std::size_t>(e)];
    }
    for (std::size_t e = 0; e < taken.size(); ++e) {
      const double pi = popularity.layer(layer)[e];
      INFO(model.name << " expert " << e << " seed 21");
      CHECK(std::abs(taken[e] - kTokens * pi) < 4.5 * std::sqrt(kTokens * pi * (1 - pi)) + 1e-9);
    }
  }
}

TEST_CASE("Active experts of uniform routing are E (1 - (1 - k/E)^T)", "[routing]") {
  struct Row {
    Architecture model;
    int tokens;
    double expected;
  };
  for (const auto& [model, tokens, expected] :
       {Row{mixtral(), 1, 2.0}, Row{mixtral(), 4, 5.469}, Row{mixtral(), 16, 7.920}, Row{ungrouped_v3(4), 8, 57.42},
        Row{ungrouped_v3(4), 32, 163.31}, Row{ungrouped_v3(4), 128, 251.60}}) {
    const double e = model.moe->experts, k = model.moe->top_k;
    REQUIRE(std::abs(e * (1 - std::pow(1 - k / e, tokens)) - expected) < 6e-3);
    const auto sampler = sampler_of({}, model, 4);
    double sum = 0, squares = 0;
    constexpr int kSteps = 600;
    for (std::uint32_t step = 0; step < kSteps; ++step) {
      const double active = active_experts(*sampler, step, tokens);
      sum += active;
      squares += active * active;
    }
    const double mean = sum / kSteps, sigma = std::sqrt(std::max(0.0, squares / kSteps - mean * mean) / kSteps);
    INFO(model.name << " " << tokens << " tokens");
    CHECK(std::abs(mean - expected) < 3.5 * sigma + 6e-3);
  }
}

TEST_CASE("What a token takes does not depend on what was drawn before", "[routing]") {
  const auto model = deepseek_v3(6);
  const auto one = sampler_of(zipf(0.5), model, 8), other = sampler_of(zipf(0.5), model, 8);
  std::vector<int> a(8), b(8);
  for (std::uint32_t t = 500; t-- > 0;) other->draw(2, 1, t, b);
  one->draw(2, 1, 17, a);
  other->draw(2, 1, 17, b);
  CHECK(a == b);
  other->draw(3, 1, 17, b);
  CHECK(a != b);
  other->draw(2, 2, 17, b);
  CHECK(a != b);
  const auto reseeded = sampler_of(zipf(0.5), model, 9);
  reseeded->draw(2, 1, 17, b);
  CHECK(a != b);
}

TEST_CASE("Balanced routing loads every expert alike at every number of tokens", "[routing]") {
  RoutingSpec spec;
  spec.kind = RoutingKind::balanced;
  for (const auto& model : {deepseek_v3(5), ungrouped_v3(5), mixtral(), moe_model("odd", 2, 0, 60, 8)}) {
    const auto popularity = expert_popularity(spec, model, 3);
    const auto sampler = make_token_sampler(spec, model, popularity, 3);
    const AggregateSampler aggregate{model.moe->router, popularity, 3};
    const auto n = static_cast<std::size_t>(model.moe->experts);
    std::vector<std::int32_t> loads(n, 0), aggregated(n);
    std::vector<int> experts(static_cast<std::size_t>(model.moe->top_k));
    for (std::uint32_t t = 0; t < 200; ++t) {
      sampler->draw(0, 1, t, experts);
      const std::set<int> distinct{experts.begin(), experts.end()};
      REQUIRE(distinct.size() == experts.size());
      std::set<int> groups;
      for (const int e : experts) groups.insert(e / (model.moe->experts / model.moe->router.groups));
      if (model.moe->router.groups > 1) REQUIRE(static_cast<int>(groups.size()) <= model.moe->router.kept_groups);
      for (const int e : experts) ++loads[static_cast<std::size_t>(e)];
      const auto [least, most] = std::minmax_element(loads.begin(), loads.end());
      REQUIRE(*most - *least <= 1);
      aggregate.draw(0, 1, t + 1, aggregated);
      REQUIRE(aggregated == loads);
    }
  }
}

TEST_CASE("Balanced routing that cannot keep its groups is not modelled", "[routing]") {
  RoutingSpec spec;
  spec.kind = RoutingKind::balanced;
  const auto v2 = moe_model("deepseek-v2", 60, 1, 160, 6, 8, 3);
  CHECK_THROWS_AS(sampler_of(spec, v2, 0), NotModelledYet);
  CHECK_THROWS_WITH(sampler_of(spec, v2, 0),
                    Catch::Matchers::Contains("balanced for top 6 of 160 experts in 3 of 8 groups"));
}
