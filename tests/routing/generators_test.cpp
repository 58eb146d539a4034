// The further generators of domain rules D.1: what they promise about loads and about tokens that follow each other.

#include <algorithm>
#include <cmath>
#include <fstream>
#include <numeric>
#include <set>

#include "models/routing/correlated.hpp"
#include "models/routing/router.hpp"
#include "models/routing/shares.hpp"
#include "models/units/error.hpp"
#include "models/units/random.hpp"
#include "tests/catch_compat.hpp"
#include "tests/own_folder.hpp"
#include "tests/routing/models.hpp"

using namespace moesim;
using namespace moesim::testing;

namespace {

RoutingSpec spec_of(RoutingKind kind) {
  RoutingSpec spec;
  spec.kind = kind;
  return spec;
}

std::vector<int> drawn(const TokenSampler& sampler, std::uint32_t step, int layer, std::uint32_t token) {
  std::vector<int> experts(static_cast<std::size_t>(sampler.top_k()));
  sampler.draw(step, layer, token, experts);
  return experts;
}

/// Two domains of the tiny model: a likes experts 0 and 1, b likes 2 and 3.
std::string two_domains(const std::filesystem::path& folder, const std::string& column = "") {
  const auto file = folder / "domains.csv";
  std::ofstream out{file};
  out << "domain,layer,expert,count" << (column.empty() ? "" : ",persistence") << "\n";
  for (const char domain : {'a', 'b'})
    for (int layer = 1; layer <= 2; ++layer)
      for (int e = 0; e < 4; ++e)
        out << domain << ',' << layer << ',' << e << ',' << ((e < 2) == (domain == 'a') ? 45 : 5)
            << (column.empty() ? "" : "," + column) << "\n";
  return file.string();
}

Architecture tiny() {
  return moe_model("tiny", 3, 1, 4, 2);
}

}  // namespace

TEST_CASE("Lognormal shares have the asked sd of their logarithm", "[routing]") {
  auto spec = spec_of(RoutingKind::lognormal);
  spec.sigma = 0.7;
  const auto model = moe_model("wide", 200, 0, 64, 1);
  const auto popularity = expert_popularity(spec, model, 3);
  double sum = 0, squares = 0, count = 0;
  for (int l = 0; l < popularity.layers; ++l) {
    double mean = 0;
    for (const double pi : popularity.layer(l)) mean += std::log(pi) / 64;
    for (const double pi : popularity.layer(l)) {
      sum += std::log(pi) - mean;
      squares += std::pow(std::log(pi) - mean, 2);
      ++count;
    }
  }
  INFO("seed 3");
  // the layer's own mean takes one of 64 degrees of freedom
  CHECK(std::sqrt(squares / (count * 63 / 64)) == Approx(0.7).epsilon(0.02));
}

TEST_CASE("Power-law loads follow the bounded law's distribution function", "[routing]") {
  // alpha 2 on [1, 4]: F(x) = (1 - 1/x) / (1 - 1/4); median: 1 - 1/x = 3/8, x = 1.6
  CHECK(power_law_quantile(2, 1, 4, 0.5) == Approx(1.6));
  // alpha 1: F = ln x / ln 4, median 2
  CHECK(power_law_quantile(1, 1, 4, 0.5) == Approx(2));
  CHECK(power_law_quantile(1.0000001, 1, 4, 0.5) == Approx(2).epsilon(1e-6));
  CHECK(power_law_quantile(1.2, 3, 30, 0) == Approx(3));
  CHECK(power_law_quantile(1.2, 3, 30, 1) == Approx(30));
  auto spec = spec_of(RoutingKind::power_law);
  spec.alpha = 1.01;
  spec.least = 1;
  spec.most = 8;
  const auto popularity = expert_popularity(spec, ungrouped_v3(6), 4);
  const auto [least, most] = std::minmax_element(popularity.layer(0).begin(), popularity.layer(0).end());
  CHECK(*most / *least <= 8);
  CHECK(*most / *least > 6);
  spec.most = 0.5;
  CHECK_THROWS_WITH(expert_popularity(spec, ungrouped_v3(6), 4),
                    "routing.max: got 0.5, expected at least routing.min, 1");
}

TEST_CASE("A mixture keeps a request in its domain and the mean of its domains", "[routing]") {
  auto spec = spec_of(RoutingKind::mixture);
  spec.file = two_domains(own_folder.path());
  spec.weights = {{"a", 3}, {"b", 1}};
  const auto popularity = expert_popularity(spec, tiny(), 6);
  // a: 0.9 of the tokens' shares, times 2, so inclusion 0.9 and 0.1; 3 to 1: 0.9 * 0.75 + 0.1 * 0.25 = 0.7
  CHECK(popularity.layer(0)[0] == Approx(0.7));
  CHECK(popularity.layer(1)[3] == Approx(0.3));
  const auto sampler = make_token_sampler(spec, tiny(), popularity, 6);
  int of_a = 0;
  for (std::uint32_t request = 0; request < 1000; ++request) {
    int low = 0;
    for (std::uint32_t step = 0; step < 40; ++step)
      for (const int e : drawn(*sampler, step, 1, request)) low += e < 2;
    // 80 draws at 0.9 or 0.1: nothing near the middle
    REQUIRE((low < 24 || low > 56));
    of_a += low > 56;
  }
  INFO("seed 6");
  CHECK(std::abs(of_a - 750) < 3.5 * std::sqrt(1000 * 0.75 * 0.25));
  spec.weights = {{"code", 1}};
  CHECK_THROWS_WITH(expert_popularity(spec, tiny(), 6),
                    "routing.weights: got domain \"code\", expected a domain of " + spec.file + ": a, b");
}

TEST_CASE("Persistence repeats the token before and leaves every token's law alone", "[routing]") {
  auto spec = spec_of(RoutingKind::markov);
  spec.exponent = 0.8;
  spec.persistence = 0.4;
  spec.request_tokens = 50;
  for (const auto& model : {deepseek_v3(5), moe_model("64", 3, 0, 64, 6)}) {
    const auto popularity = expert_popularity(spec, model, 8);
    const auto sampler = make_token_sampler(spec, model, popularity, 8);
    constexpr std::uint32_t kTokens = 60000;
    std::vector<double> taken(static_cast<std::size_t>(model.moe->experts), 0.0);
    double repeated = 0, across = 0;
    std::vector<int> before;
    for (std::uint32_t t = 0; t < kTokens; ++t) {
      const auto now = drawn(*sampler, 0, 1, t);
      for (const int e : now) taken[static_cast<std::size_t>(e)] += 1;
      if (t > 0) (t % 50 == 0 ? across : repeated) += std::equal(now.begin(), now.end(), before.begin());
      before = now;
    }
    INFO(model.name << " seed 8");
    CHECK(repeated / (kTokens * 49 / 50) == Approx(0.4).margin(0.01));
    CHECK(across <= 3);  // a new request begins afresh
    for (std::size_t e = 0; e < taken.size(); ++e) {
      const double pi = popularity.layer(1)[e];
      // repeats inflate the variance of a mean by (1 + r) / (1 - r)
      CHECK(std::abs(taken[e] / kTokens - pi) < 4.5 * std::sqrt(pi * (1 - pi) / kTokens * 1.4 / 0.6) + 1e-9);
    }
  }
}

TEST_CASE("Affinity sends a token after its layer before with chance a, and keeps the loads", "[routing]") {
  auto spec = spec_of(RoutingKind::markov);
  spec.exponent = 0.5;
  spec.affinity = 0.6;
  const auto model = moe_model("64", 4, 0, 64, 1);
  const auto popularity = expert_popularity(spec, model, 2);
  const auto sampler = make_token_sampler(spec, model, popularity, 2);
  constexpr std::uint32_t kTokens = 40000;
  std::vector<std::vector<double>> pairs(64, std::vector<double>(64, 0.0));
  std::vector<double> first(64, 0.0), next(64, 0.0);
  for (std::uint32_t t = 0; t < kTokens; ++t) {
    const auto a = static_cast<std::size_t>(drawn(*sampler, 0, 1, t)[0]),
               b = static_cast<std::size_t>(drawn(*sampler, 0, 2, t)[0]);
    ++pairs[a][b];
    ++first[a];
    ++next[b];
  }
  INFO("seed 2");
  double follow = 0;
  std::set<std::size_t> partners;
  for (std::size_t e = 0; e < 64; ++e) {
    const auto best = std::max_element(pairs[e].begin(), pairs[e].end());
    partners.insert(static_cast<std::size_t>(best - pairs[e].begin()));
    follow += *best;
    const double pi = popularity.layer(2)[e];
    CHECK(std::abs(next[e] / kTokens - pi) < 4.5 * std::sqrt(pi * (1 - pi) / kTokens));
  }
  CHECK(partners.size() == 64);  // one to one: the i-th popular follows the i-th popular
  double by_chance = 0;          // fresh draws that land on the partner anyway: sum of squared shares
  for (const double pi : popularity.layer(2)) by_chance += pi * pi;
  CHECK(follow / kTokens == Approx(0.6 + 0.4 * by_chance).margin(0.012));
}

TEST_CASE("A persistence column of the file holds per layer, and the key overrides it", "[routing]") {
  auto spec = spec_of(RoutingKind::mixture);
  spec.file = two_domains(own_folder.path(), "0.5");
  spec.weights = {{"a", 1}};
  const auto popularity = expert_popularity(spec, tiny(), 1);
  const auto repeats = [&](const RoutingSpec& of) {
    const auto sampler = make_token_sampler(of, tiny(), popularity, 1);
    double same = 0;
    for (std::uint32_t step = 1; step < 4000; ++step)
      same += drawn(*sampler, step, 0, 0) == drawn(*sampler, step - 1, 0, 0);
    return same / 3999;
  };
  const double with_column = repeats(spec);
  spec.persistence = 0;
  const double without = repeats(spec);
  CHECK(with_column == Approx(0.5 + 0.5 * without).margin(0.03));
  spec.file = two_domains(own_folder.path(), "1");
  CHECK_THROWS_WITH(expert_popularity(spec, tiny(), 1),
                    spec.file + ":2:10: got persistence 1, expected a number from 0 to below 1");
}

TEST_CASE("The router takes the best experts of the best groups and weighs them by unbiased scores", "[routing]") {
  RouterSpec spec;
  spec.score = RouterScore::sigmoid;
  spec.groups = 3;
  spec.kept_groups = 2;
  spec.group_score = GroupScore::top2_sum;
  spec.scale = 2.5;
  Router router{spec, 6, 2};
  // sigmoid of 0 is 1/2, of ln 3 is 3/4, of -ln 3 is 1/4. Groups {3/4, 1/4}, {1/2, 3/4}, {1/2, 1/4}: sums 1, 5/4, 3/4.
  const double up = std::log(3.0);
  std::vector<int> chosen(2);
  router.choose(std::vector<double>{up, -up, 0, up, 0, -up}, {}, chosen);
  CHECK(chosen == std::vector<int>{0, 3});  // equal scores: the lower id first
  CHECK(router.gate()[0] == Approx(2.5 / 2));
  CHECK(std::isinf(router.selection()[4]));
  // a bias of 1/2 lifts the last group and its experts, but not their weights: 1/2 and 1/4 of their sum, times 2.5
  router.choose(std::vector<double>{up, -up, 0, up, 0, -up}, std::vector<double>{0, 0, 0, 0, 0.8, 0.8}, chosen);
  CHECK(chosen == std::vector<int>{4, 5});
  CHECK(router.gate()[4] == Approx(2.5 * 2 / 3));
  RouterSpec plain;
  plain.normalise_topk = false;
  Router softmax{plain, 3, 2};
  softmax.choose(std::vector<double>{0, std::log(2.0), 0}, {}, chosen);
  CHECK(chosen == std::vector<int>{1, 0});
  CHECK(softmax.gate()[1] == Approx(0.5));  // 2 of 1 + 2 + 1
  CHECK(softmax.gate()[0] == Approx(0.25));
}

TEST_CASE("Logits load experts by their means, and their popularity is what tokens show", "[routing]") {
  auto spec = spec_of(RoutingKind::logits);
  spec.sigma = 1;
  spec.spread = 0.5;
  const auto model = deepseek_v3(4);
  const auto popularity = expert_popularity(spec, model, 7);
  CHECK(std::accumulate(popularity.inclusion.begin(), popularity.inclusion.end(), 0.0) == Approx(8));
  const auto sampler = make_token_sampler(spec, model, popularity, 7);
  std::vector<double> taken(256, 0.0);
  for (std::uint32_t t = 0; t < 4000; ++t) {
    const auto experts = drawn(*sampler, 0, 0, t);
    std::set<int> groups;
    for (const int e : experts) {
      ++taken[static_cast<std::size_t>(e)];
      groups.insert(e / 32);
    }
    REQUIRE(groups.size() <= 4);
  }
  for (std::size_t e = 0; e < 256; ++e) {
    const double pi = popularity.layer(0)[e], p = std::max(pi, taken[e] / 4000);
    const double sigma = std::sqrt(p * (1 - p) * (1.0 / 4000 + 1.0 / 2048));
    INFO("expert " << e << " seed 7");
    CHECK(std::abs(taken[e] / 4000 - pi) < 4.5 * sigma + 0.5 / 2048);
  }
  spec.spread = 0;
  CHECK(imbalance(expert_popularity(spec, model, 7).layer(0)) < imbalance(popularity.layer(0)));
}

TEST_CASE("Experts that choose are equally loaded and tokens get different numbers of them", "[routing]") {
  auto spec = spec_of(RoutingKind::expert_choice);
  spec.sigma = 1;
  spec.capacity.factor = 1;
  const auto model = moe_model("64", 2, 0, 64, 4);
  const auto popularity = expert_popularity(spec, model, 9);
  const auto sampler = make_token_sampler(spec, model, popularity, 9);
  std::vector<int> chosen;
  const int width = sampler->draw_all(0, 1, 200, chosen);  // ceil(4 * 200 / 64) = 13 tokens each
  std::vector<int> loads(64, 0), of_token(200, 0);
  for (std::size_t i = 0; i < chosen.size(); ++i)
    if (chosen[i] >= 0) {
      ++loads[static_cast<std::size_t>(chosen[i])];
      ++of_token[i / static_cast<std::size_t>(width)];
    }
  CHECK(loads == std::vector<int>(64, 13));
  const auto [least, most] = std::minmax_element(of_token.begin(), of_token.end());
  CHECK(*least < 3);
  CHECK(*most > 6);
  CHECK(*most == width);
  std::vector<int> none(4);
  CHECK_THROWS_AS(sampler->draw(0, 0, 0, none), std::logic_error);
}

TEST_CASE("Only independent tokens of one popularity have an aggregate law", "[routing]") {
  for (const auto kind : {RoutingKind::uniform, RoutingKind::zipf, RoutingKind::lognormal, RoutingKind::power_law,
                          RoutingKind::dirichlet, RoutingKind::histogram, RoutingKind::balanced})
    CHECK(has_aggregate_law(kind));
  for (const auto kind :
       {RoutingKind::mixture, RoutingKind::markov, RoutingKind::logits, RoutingKind::expert_choice, RoutingKind::trace})
    CHECK_FALSE(has_aggregate_law(kind));
}
