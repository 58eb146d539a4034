// Places, drops and backups (domain rules D.5).

#include "models/routing/capacity.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "models/routing/routing.hpp"
#include "tests/catch_compat.hpp"
#include "tests/routing/models.hpp"

using namespace moesim;
using namespace moesim::testing;

namespace {

CapacitySpec policy(CapacityPolicy policy, double factor) {
  CapacitySpec spec;
  spec.policy = policy;
  spec.factor = factor;
  return spec;
}

/// E[(Bin(T, 1/E) - C)+] E / T, by the binomial's own recursion.
double expected_drop(int tokens, int experts, double factor) {
  const double p = 1.0 / experts;
  const double places = std::ceil(tokens * factor / experts - 1e-9);
  double chance = std::exp(tokens * std::log1p(-p)), excess = 0;
  for (int n = 0; n <= tokens; ++n) {
    if (n > places) excess += chance * (n - places);
    chance *= (tokens - n) / (n + 1.0) * p / (1 - p);
  }
  return excess * experts / tokens;
}

}  // namespace

TEST_CASE("Places are max(least, ceil(k T factor / E))", "[routing]") {
  CHECK(places_per_expert(policy(CapacityPolicy::drop_position, 1), 2, 8, 11) == 3);     // 2.75
  CHECK(places_per_expert(policy(CapacityPolicy::drop_position, 1.25), 2, 8, 11) == 4);  // 3.4375
  CHECK(places_per_expert(policy(CapacityPolicy::drop_position, 1.5), 2, 8, 11) == 5);   // 4.125
  CHECK(places_per_expert(policy(CapacityPolicy::drop_position, 1.1), 2, 8, 40) == 11);  // 11 and a rounding error
  CapacitySpec spec = policy(CapacityPolicy::drop_position, 1);
  spec.least = 4;
  CHECK(places_per_expert(spec, 2, 8, 11) == 4);
  CHECK(places_per_expert(spec, 2, 8, 0) == 4);
  spec.factor = 0;
  CHECK_THROWS_AS(places_per_expert(spec, 2, 8, 11), std::invalid_argument);
}

TEST_CASE("Uniform top-1 tokens are dropped as often as the binomial law says (L19)", "[routing]") {
  struct Row {
    int tokens, experts;
    double factor, drop;
  };
  for (const auto& [tokens, experts, factor, drop] :
       {Row{64, 8, 1, 0.13055}, Row{64, 8, 1.25, 0.04531}, Row{64, 8, 1.5, 0.01184}, Row{1024, 8, 1, 0.03296},
        Row{4096, 64, 1, 0.04941}, Row{4096, 64, 1.25, 0.00127}}) {
    INFO(tokens << " tokens, " << experts << " experts, factor " << factor << ", seed 12");
    REQUIRE(expected_drop(tokens, experts, factor) == Approx(drop).margin(6e-6));
    const auto model = moe_model("switch", 1, 0, experts, 1);
    const auto sampler = make_token_sampler({}, model, expert_popularity({}, model, 12), 12);
    const int steps = 400000 / tokens;
    double sum = 0, squares = 0;
    std::vector<int> chosen;
    for (int step = 0; step < steps; ++step) {
      sampler->draw_all(static_cast<std::uint32_t>(step), 0, tokens, chosen);
      const auto count = apply_capacity(policy(CapacityPolicy::drop_position, factor), experts, 1, chosen, 1, {});
      REQUIRE(count.assignments == tokens);
      const double share = static_cast<double>(count.dropped) / tokens;
      sum += share;
      squares += share * share;
    }
    const double mean = sum / steps, sigma = std::sqrt(std::max(0.0, squares / steps - mean * mean) / steps);
    CHECK(std::abs(mean - drop) < 3 * sigma + 1e-5);
  }
}

TEST_CASE("The example histogram drops 5, 2 and 0 of 22 at factors 1, 1.25 and 1.5 (L21)", "[routing]") {
  const std::vector<int> loads{5, 1, 4, 2, 5, 1, 3, 1};
  std::vector<int> example;  // top-1 in the order of experts: the drops depend on loads only
  for (int e = 0; e < 8; ++e)
    example.insert(example.end(), static_cast<std::size_t>(loads[static_cast<std::size_t>(e)]), e);
  for (const auto& [factor, dropped] : {std::pair{1.0, 5}, std::pair{1.25, 2}, std::pair{1.5, 0}}) {
    // 22 tokens with one choice: k T = 22 as with 11 tokens and two choices
    std::vector<int> chosen = example;
    const auto count = apply_capacity(policy(CapacityPolicy::drop_position, factor), 8, 1, chosen, 1, {});
    CHECK(count.dropped == dropped);
    CHECK(count.rerouted == 0);
    CHECK(std::count(chosen.begin(), chosen.end(), -1) == dropped);
    CHECK(count.padded_slots() == count.places - 22 + dropped);
  }
  // backup at factor 1: 24 places hold 22, every expert may be tried, so the 5 move
  CapacitySpec backup = policy(CapacityPolicy::backup, 1);
  backup.max_hops = 7;
  std::vector<int> chosen = example;
  const Preferences flat = [](std::size_t, std::span<double> selection, std::span<double> gate) {
    for (std::size_t e = 0; e < 8; ++e) selection[e] = gate[e] = 0.125;
  };
  const auto count = apply_capacity(backup, 8, 1, chosen, 1, flat);
  CHECK(count.dropped == 0);
  CHECK(count.rerouted == 5);
  CHECK(count.displaced_gate == 0);
  CHECK(count.padded_slots() == 2);
}

TEST_CASE("A rejected choice hops to the next best expert that its token lacks", "[routing]") {
  // Three tokens, top-2 of four experts, one place each (ceil(6 / 4) = 2 at factor 1; 0.5 gives 1).
  const std::vector<std::vector<double>> gate{{0.4, 0.3, 0.2, 0.1}, {0.5, 0.3, 0.15, 0.05}, {0.4, 0.1, 0.2, 0.3}};
  const Preferences ask = [&](std::size_t token, std::span<double> selection, std::span<double> out) {
    std::copy(gate[token].begin(), gate[token].end(), selection.begin());
    std::copy(gate[token].begin(), gate[token].end(), out.begin());
  };
  CapacitySpec spec = policy(CapacityPolicy::backup, 0.5);
  std::vector<int> chosen{0, 1, 0, 1, 0, 3};
  // Token 0 takes 0 and 1. Token 1: 0 is full, next best outside {0, 1} is 2: moves, 0.5 - 0.15 lost; 1 is full, next
  // is 3: moves, 0.3 - 0.05 lost. Token 2: 0 is full, tries 2, full, one hop only: dropped with 0.4; 3 is full, tries 1
  // (0.1): full, dropped with 0.3.
  auto count = apply_capacity(spec, 4, 2, chosen, 2, ask);
  CHECK(chosen == std::vector<int>{0, 1, 2, 3, -1, -1});
  CHECK(count.rerouted == 2);
  CHECK(count.dropped == 2);
  CHECK(count.displaced_gate == Approx(0.6));
  CHECK(count.dropped_gate == Approx(0.7));
  CHECK(count.padded_slots() == 0);

  // drop_prob: expert 0 goes to token 1 (0.5), then 0.4 of token 0 and of token 2 fail; expert 1 at 0.3: token 0 first,
  // token 1 fails; expert 3 to token 2.
  spec.policy = CapacityPolicy::drop_prob;
  chosen = {0, 1, 0, 1, 0, 3};
  count = apply_capacity(spec, 4, 2, chosen, 2, ask);
  CHECK(chosen == std::vector<int>{-1, 1, 0, -1, -1, 3});
  CHECK(count.dropped == 3);
  CHECK(count.dropped_gate == Approx(1.1));
  CHECK_THROWS_WITH(apply_capacity(spec, 4, 2, chosen, 2, {}), "capacity policy drop_prob without router scores");
}

TEST_CASE("Whatever the policy, no expert exceeds its places and nothing is lost", "[routing]") {
  RoutingSpec routing;
  routing.kind = RoutingKind::logits;
  routing.sigma = 1;
  const auto model = deepseek_v3(4);
  const auto sampler = make_token_sampler(routing, model, {}, 5);
  for (const auto kind : {CapacityPolicy::drop_position, CapacityPolicy::drop_prob, CapacityPolicy::backup})
    for (std::uint32_t step = 0; step < 3; ++step) {
      CapacitySpec spec = policy(kind, 1.0 + 0.2 * step);
      spec.max_hops = 3;
      std::vector<int> chosen;
      sampler->draw_all(step, 0, 300, chosen);
      const auto wanted = chosen;
      const auto count =
          apply_capacity(spec, 256, 8, chosen, 8, [&](std::size_t t, std::span<double> s, std::span<double> g) {
            sampler->preferences(step, 0, static_cast<std::uint32_t>(t), s, g);
          });
      INFO(name_of(kind) << " step " << step << " seed 5");
      std::vector<std::int64_t> loads(256, 0);
      std::int64_t moved = 0;
      for (std::size_t i = 0; i < chosen.size(); ++i) {
        if (chosen[i] >= 0) ++loads[static_cast<std::size_t>(chosen[i])];
        moved += chosen[i] >= 0 && chosen[i] != wanted[i];
      }
      CHECK(*std::max_element(loads.begin(), loads.end()) <= places_per_expert(spec, 8, 256, 300));
      CHECK(std::accumulate(loads.begin(), loads.end(), std::int64_t{0}) == 2400 - count.dropped);
      CHECK(moved == count.rerouted);
      CHECK(count.dropped > 0);
      CHECK(count.dropped_gate > 0);
      for (std::size_t t = 0; t < 300; ++t) {
        std::vector<int> of_token(chosen.begin() + static_cast<std::ptrdiff_t>(t * 8),
                                  chosen.begin() + static_cast<std::ptrdiff_t>(t * 8 + 8));
        std::erase(of_token, -1);
        std::sort(of_token.begin(), of_token.end());
        REQUIRE(std::adjacent_find(of_token.begin(), of_token.end()) == of_token.end());
      }
    }
}
