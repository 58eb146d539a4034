#include "models/routing/shares.hpp"

#include <numeric>

#include "models/units/error.hpp"
#include "models/units/random.hpp"
#include "tests/catch_compat.hpp"
#include "tests/routing/models.hpp"

using namespace moesim;
using namespace moesim::testing;

TEST_CASE("Zipf shares of 8 experts with exponent 1 are 1/(i H_8)", "[routing]") {
  // H_8 = 1 + 1/2 + ... + 1/8 = 761/280 = 2.717857; lambda = share_1 * 8 = 8 / H_8 = 2.9435
  const auto shares = zipf_shares(8, 1.0);
  for (int i = 0; i < 8; ++i) CHECK(shares[i] == Approx(1.0 / ((i + 1) * (761.0 / 280.0))).epsilon(1e-14));
  CHECK(imbalance(shares) == Approx(2.9435).epsilon(1e-4));
  CHECK(1 / imbalance(shares) == Approx(0.33974).epsilon(1e-4));
  // 4 GPUs, linear: 2 experts each, the first has (1 + 1/2)/H_8; round-robin: (1 + 1/5)/H_8
  CHECK(imbalance(std::vector<double>{shares[0] + shares[1], shares[2] + shares[3], shares[4] + shares[5],
                                      shares[6] + shares[7]}) == Approx(2.2076).epsilon(1e-4));
  CHECK(imbalance(std::vector<double>{shares[0] + shares[4], shares[1] + shares[5], shares[2] + shares[6],
                                      shares[3] + shares[7]}) == Approx(1.7661).epsilon(1e-4));
}

TEST_CASE("Zipf with exponent 0 is uniform", "[routing]") {
  for (const double share : zipf_shares(5, 0)) CHECK(share == 0.2);
}

TEST_CASE("The example histogram is 1.8182 times its mean at its busiest expert", "[routing]") {
  // sum 22, mean 2.75, most 5: 5/2.75 = 1.81818; two experts per GPU: [6,6,6,4], 6/5.5 = 1.0909
  CHECK(imbalance(std::vector<double>{5, 1, 4, 2, 5, 1, 3, 1}) == Approx(20.0 / 11));
  CHECK(imbalance(std::vector<double>{6, 6, 6, 4}) == Approx(12.0 / 11));
  CHECK(imbalance(std::vector<double>{0, 0, 0}) == 1);
}

TEST_CASE("Halving a hot expert's load over two copies halves what a copy serves", "[routing]") {
  // w = 6 of 10 with c = 2: 3 each beside 4: max/mean = 4/(10/3) = 1.2
  CHECK(imbalance(std::vector<double>{3, 3, 4}) == Approx(1.2));
}

TEST_CASE("Water filling leaves shares alone that no token count exceeds", "[routing]") {
  const auto pi = water_fill(std::vector<double>{4, 3, 2, 1}, 2);  // 2 * 4/10 = 0.8 ...
  CHECK(pi[0] == Approx(0.8));
  CHECK(pi[3] == Approx(0.2));
}

TEST_CASE("Water filling caps what every token would take and spreads the rest by share", "[routing]") {
  // top 2, shares 7 2 1: 1.4 is capped to 1; the other 1 is shared 2:1
  const auto pi = water_fill(std::vector<double>{7, 2, 1}, 2);
  CHECK(pi[0] == 1);
  CHECK(pi[1] == Approx(2.0 / 3));
  CHECK(pi[2] == Approx(1.0 / 3));
  // second round: top 3 of 10 5 1 1: 1.76 -> 1; then 2 * 5/7 = 1.43 -> 1; the last 1 is halved
  const auto twice = water_fill(std::vector<double>{10, 5, 1, 1}, 3);
  CHECK(twice[1] == 1);
  CHECK(twice[2] == Approx(0.5));
  // no share left to spread by: evenly
  CHECK(water_fill(std::vector<double>{1, 0, 0}, 2)[2] == Approx(0.5));
}

TEST_CASE("Water filling always sums to k with nothing above the cap", "[routing]") {
  for (std::uint32_t seed = 0; seed < 300; ++seed) {
    INFO("seed " << seed);
    Random random{seed, Purpose::test, 0, 0};
    const auto experts = 2 + random.below(60);
    const int k = 1 + static_cast<int>(random.below(experts));
    const double cap = static_cast<double>(k) / experts + (1 - static_cast<double>(k) / experts) * random.uniform();
    std::vector<double> shares;
    for (std::uint32_t e = 0; e < experts; ++e) shares.push_back(random.gamma(0.2));
    const auto pi = water_fill(shares, k, cap);
    CHECK(std::accumulate(pi.begin(), pi.end(), 0.0) == Approx(k).epsilon(1e-12));
    for (const double p : pi) CHECK((p >= 0 && p <= cap));
  }
}

TEST_CASE("Shares that are no shares are refused", "[routing]") {
  CHECK_THROWS_WITH(water_fill(std::vector<double>{1, -1}, 1), "a share of -1");
  CHECK_THROWS_WITH(water_fill(std::vector<double>{0, 0}, 1), "shares that sum to zero");
  CHECK_THROWS_WITH(water_fill(std::vector<double>{1, 1}, 3), "top 3 of 2 experts with at most 1 each");
  CHECK_THROWS_WITH(zipf_shares(4, -0.5), "zipf shares of 4 experts with exponent -0.5");
}

TEST_CASE("Every kind of popularity sums to k in every layer", "[routing]") {
  for (const auto& model : {deepseek_v3(10), ungrouped_v3(10), mixtral()}) {
    RoutingSpec spec;
    for (const auto kind : {RoutingKind::uniform, RoutingKind::balanced, RoutingKind::zipf, RoutingKind::dirichlet}) {
      spec.kind = kind;
      spec.exponent = 1.2;
      spec.concentration = 0.3;
      const auto popularity = expert_popularity(spec, model, 7);
      INFO(model.name << " " << std::string{name_of(kind)});
      REQUIRE(popularity.layers == model.moe_layers());
      CHECK(popularity.round_robin == (kind == RoutingKind::balanced));
      for (int l = 0; l < popularity.layers; ++l) {
        double sum = 0;
        for (const double p : popularity.layer(l)) {
          CHECK((p >= 0 && p <= 1));
          sum += p;
        }
        CHECK(sum == Approx(model.moe->top_k).epsilon(1e-12));
      }
    }
  }
}

TEST_CASE("Each layer has its own popular experts, the same for the same seed", "[routing]") {
  const auto a = expert_popularity(zipf(0.8), ungrouped_v3(8), 1), b = expert_popularity(zipf(0.8), ungrouped_v3(8), 1);
  const auto c = expert_popularity(zipf(0.8), ungrouped_v3(8), 2);
  CHECK(a.inclusion == b.inclusion);
  CHECK(a.inclusion != c.inclusion);
  std::vector<double> first{a.layer(0).begin(), a.layer(0).end()}, second{a.layer(1).begin(), a.layer(1).end()};
  CHECK(first != second);
  std::sort(first.begin(), first.end());
  std::sort(second.begin(), second.end());
  for (std::size_t e = 0; e < first.size(); ++e) CHECK(first[e] == Approx(second[e]));
}

TEST_CASE("Impossible parameters and dense models are refused", "[routing]") {
  CHECK_THROWS_WITH(expert_popularity(zipf(-1), mixtral(), 0),
                    "routing.exponent: got -1, expected a finite number >= 0");
  RoutingSpec spec;
  spec.kind = RoutingKind::dirichlet;
  CHECK_THROWS_WITH(expert_popularity(spec, mixtral(), 0),
                    "routing.concentration: got 0, expected a finite number > 0");
  Architecture dense;
  dense.name = "llama";
  CHECK_THROWS_AS(expert_popularity({}, dense, 0), std::invalid_argument);
}
