// Fits: known laws give their own parameters back, and real traces are reproduced within their bootstrap intervals.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>
#include <numeric>

#include "models/routing/route_fit.hpp"
#include "models/routing/routing.hpp"
#include "models/routing/shares.hpp"
#include "models/units/error.hpp"
#include "models/units/random.hpp"
#include "tests/catch_compat.hpp"
#include "tests/own_folder.hpp"
#include "tests/routing/models.hpp"
#include "tests/shared_data.hpp"

using namespace moesim;
using namespace moesim::testing;

namespace {

std::string written(const std::string& text, const std::string& name = "fit.csv") {
  std::ofstream{own_folder.path() / name} << text;
  return (own_folder.path() / name).string();
}

std::string refusal(const std::string& text) {
  const std::string file = written(text);
  try {
    fit_route_file(file, {});
  } catch (const InputError& error) {
    std::string message = error.what();
    for (std::size_t at; (at = message.find(file)) != std::string::npos;) message.replace(at, file.size(), "FILE");
    return message;
  }
  return "accepted";
}

const FamilyFit& of(const LoadFit& fit, LoadFamily family) {
  return fit.family[static_cast<int>(family)];
}

}  // namespace

TEST_CASE("Zipf loads give their exponent back, by likelihood and by regression", "[routing]") {
  for (const double exponent : {0.0, 0.3, 0.8, 1.5}) {
    std::vector<double> counts;
    for (const double share : zipf_shares(64, exponent)) counts.push_back(1e6 * share);
    std::rotate(counts.begin(), counts.begin() + 20, counts.end());
    const LoadFit fit = fit_loads(counts);
    CHECK(fit.zipf_exponent == Approx(exponent).margin(1e-6));
    CHECK(fit.zipf_regression == Approx(exponent).margin(1e-9));
    CHECK(of(fit, LoadFamily::zipf).kl == Approx(0).margin(1e-9));
    if (exponent > 0) CHECK(fit.best == LoadFamily::zipf);
  }
}

TEST_CASE("Moments, logarithms and bounds of drawn loads give their laws back", "[routing]") {
  // dirichlet: shares 5 3 1 1 of ten: Var = (0.25^2 + 0.05^2 + 2 0.15^2) / 4 = 0.0275, a = (0.1875 / 0.0275 - 1) / 4
  const LoadFit four = fit_loads(std::vector<double>{1, 5, 1, 3});
  CHECK(four.dirichlet_concentration.value() == Approx((0.1875 / 0.0275 - 1) / 4));
  CHECK(four.max_over_mean == Approx(2));
  CHECK(four.cv == Approx(std::sqrt(0.0275) * 4));
  Random random{3, Purpose::test, 0, 0};
  std::vector<double> dirichlet(2000), lognormal(2000), power(2000);
  for (double& n : dirichlet) n = 1e5 * random.gamma(1.5);
  for (double& n : lognormal) n = 1e5 * std::exp(0.6 * random.normal());
  for (double& n : power) n = power_law_quantile(1.4, 1e3, 1e5, random.uniform());
  INFO("seed 3");
  CHECK(fit_loads(dirichlet).dirichlet_concentration.value() == Approx(1.5).epsilon(0.1));
  CHECK(of(fit_loads(lognormal), LoadFamily::lognormal).parameter.value() == Approx(0.6).epsilon(0.04));
  CHECK(of(fit_loads(power), LoadFamily::power_law).parameter.value() == Approx(1.4).epsilon(0.05));
  CHECK(fit_loads(dirichlet).best == LoadFamily::dirichlet);
  CHECK(fit_loads(lognormal).best == LoadFamily::lognormal);
  CHECK(fit_loads(power).best == LoadFamily::power_law);
}

TEST_CASE("Equal loads have no skew and no Dirichlet law", "[routing]") {
  const LoadFit fit = fit_loads(std::vector<double>(8, 100.0));
  CHECK(fit.max_over_mean == 1);
  CHECK(fit.zipf_exponent == Approx(0).margin(1e-9));
  CHECK_FALSE(fit.dirichlet_concentration.has_value());
  CHECK_FALSE(of(fit, LoadFamily::power_law).parameter.has_value());
  CHECK(fit.best == LoadFamily::uniform);
  CHECK_THROWS_WITH(fit_loads(std::vector<double>(8, 0.0)), "loads that are all zero");
}

TEST_CASE("The bootstrap interval of max/mean covers what the same law draws again", "[routing]") {
  Random random{11, Purpose::test, 1, 0};
  int held = 0;
  for (int i = 0; i < 200; ++i) {
    // 64 experts, one twice as popular: the spread of the top load is about that of one Poisson count
    std::vector<double> first(64), again(64);
    for (std::size_t e = 0; e < 64; ++e) {
      const double mean = e == 5 ? 800 : 400;
      first[e] = std::round(mean + std::sqrt(mean) * random.normal());
      again[e] = std::round(mean + std::sqrt(mean) * random.normal());
    }
    held += bootstrap_max_over_mean(first, 200, static_cast<std::uint64_t>(i)).holds(imbalance(again));
  }
  INFO("seed 11");
  // two draws differ by sqrt(2) standard deviations of one: 2 Phi(1.96 / sqrt 2) - 1 = 0.834
  CHECK(std::abs(held / 200.0 - 0.834) < 0.08);
}

TEST_CASE("Pairs that determine each other have all the information, independent ones none", "[routing]") {
  const auto pairs = [](const std::string& rows) {
    return fit_pair(read_layer_pairs(written("layer_pair,expert_i,expert_j,count\n" + rows), {}).front());
  };
  const PairFit one = pairs("0-1,0,1,5\n0-1,1,0,5\n");
  CHECK(one.mutual_information_share == Approx(1));
  CHECK(one.affinity == Approx(1));  // guess right always, against half of the time
  CHECK(one.largest_lift == Approx(2));
  const PairFit none = pairs("0-1,0,0,6\n0-1,0,1,3\n0-1,1,0,2\n0-1,1,1,1\n");
  CHECK(none.mutual_information_share == Approx(0).margin(1e-12));
  CHECK(none.affinity == Approx(0).margin(1e-12));
}

TEST_CASE("A generated trace gives its persistence, domains and loads back", "[routing]") {
  // two domains that like opposite halves of 16 experts, persistence 0.3
  std::vector<double> low, high;
  for (int e = 0; e < 16; ++e) {
    low.push_back(e < 8 ? 0.2 : 0.05);
    high.push_back(e < 8 ? 0.05 : 0.2);
  }
  TraceGenerator truth{{{0.5, 0.5}, {{1, 16, 2, low, false}, {1, 16, 2, high, false}}, {}}, {1}, {0.3}};
  TokenTrace like{{0}, 16, 2, {}, {}};
  for (std::size_t r = 0; r <= 24; ++r) like.first_token.push_back(400 * r);
  like.chosen.resize(24 * 400 * 2);
  const TokenTrace trace = generate(truth, like, 0, 17);
  const auto numbers = measure(trace);
  INFO("seed 17");
  // within a domain: 8 (0.04 + 0.0025) / 2 = 0.17; overall 16 * 0.125^2 / 2 = 0.125
  CHECK(numbers[0].far_overlap == Approx(0.17).margin(0.006));
  CHECK(numbers[0].overlap == Approx(0.3 + 0.7 * 0.17).margin(0.02));
  const TraceGenerator fitted = fit_generator(trace, numbers);
  CHECK(fitted.persistence[0] == Approx(0.3).margin(0.02));
  CHECK(fitted.shrinkage[0] > 0.8);
  CHECK(fitted.mixture.domains.size() == 24);
  const auto mean = mean_inclusion(fitted.mixture);
  for (std::size_t e = 0; e < 16; ++e) CHECK(mean[e] == Approx(numbers[0].loads[e] / 9600));
}

TEST_CASE("Bad traces and loads are refused with their place", "[routing]") {
  CHECK(refusal("layer,experts\n") ==
        "FILE:1:1: got columns layer, experts, expected layer,expert,count (loads), layer,e0,e1,... (tokens) or "
        "layer_pair,expert_i,expert_j,count");
  CHECK(refusal("seq,pos,layer,e0,e1\n0,0,1,3,3\n") ==
        "FILE:2:9: got expert 3 a second time, expected 2 distinct experts");
  CHECK(refusal("seq,pos,layer,e0\n0,0,1,3\n0,0,2,3\n0,1,1,3\n") ==
        "FILE:4:1: got 1 layers of a token, expected 2 as of the first token");
  CHECK(refusal("seq,pos,layer,e0\n0,0,1,3\n0,0,2,3\n0,1,1,3\n0,1,3,3\n") ==
        "FILE:5:5: got layer 3, expected the layers of the first token, in its order");
  CHECK(refusal("seq,pos,layer,e0\n0,0,2,3\n0,0,1,3\n") ==
        "FILE:3:5: got layer 1, expected layers in rising order, each of a token once");
  CHECK(refusal("seq,pos,layer,e0\n0,0,1,40000\n") ==
        "FILE:2:7: got expert \"40000\", expected a whole number from 0 to 4095");
  CHECK(refusal("seq,pos,layer,e0\n0,0,1\n") == "FILE:2:1: got 3 fields, expected 4 fields as in the header");
  CHECK(refusal("seq,pos,layer,e0\n") == "FILE: got no rows, expected rows of layer, e0, e1, ...");
  CHECK(refusal("layer,expert,count\n0,0,0\n") ==
        "FILE: got layer 0 without any count, expected at least one token per layer");
  CHECK(refusal("model,layer,expert,count\na,0,0,1\nb,0,0,1\n") ==
        "FILE: got several values of model: a, b, expected one: --where model=a");
}

namespace {

struct TraceFile {
  const char* name;
  int layers;
  double max_over_mean, overlap;  // means over layers of routing_stats_summary.csv, 0: not there
};

}  // namespace

TEST_CASE("A generator fitted to a real trace reproduces it within its bootstrap intervals", "[routing]") {
  const TraceFile of = GENERATE(TraceFile{"deepseek_v2_lite_esft/token_routes_intent.csv.gz", 26, 3.8145, 0.2624},
                                TraceFile{"deepseek_v2_lite_esft/token_routes_summary.csv.gz", 26, 4.2805, 0.2907},
                                TraceFile{"gpt_oss_20b/token_routes_odd_samples.csv.gz", 24, 0, 0});
  const std::string file = shared_file(std::string{"data/routing/"} + of.name);
  if (file.empty()) return;
  const auto start = std::chrono::steady_clock::now();
  const RouteFit fit = fit_route_file(file, {});
  const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const Reproduced count = reproduced(fit);
  double most = 0, overlap = 0;
  for (const LayerFit& layer : fit.layers) {
    most += layer.loads.max_over_mean / of.layers;
    overlap += layer.tokens->overlap / of.layers;
    INFO(of.name << " layer " << layer.layer << " seed 1");
    CHECK(layer.max_over_mean.holds(layer.tokens->generated_max_over_mean));
    CHECK(layer.tokens->overlap_interval.holds(layer.tokens->generated_overlap));
    for (const RankFit& rank : layer.ranks) {
      INFO("EP" << rank.ranks);
      CHECK(rank.interval.holds(rank.generated.value()));
    }
  }
  WARN(of.name << ": " << count.max_over_mean << " max/mean, " << count.overlap << " overlaps of " << count.layers
               << " layers, " << count.ranks << " of " << count.all_ranks << " rank imbalances within their intervals, "
               << took << " s");
  REQUIRE(count.layers == of.layers);
  // Controls: without persistence the overlap, with even loads the max/mean are missed nearly everywhere.
  const TokenTrace trace = read_token_trace(file);
  TraceGenerator forgetful = *fit.generator, even = *fit.generator;
  std::fill(forgetful.persistence.begin(), forgetful.persistence.end(), 0.0);
  for (ExpertPopularity& domain : even.mixture.domains)
    std::fill(domain.inclusion.begin(), domain.inclusion.end(), static_cast<double>(fit.top_k) / fit.experts);
  const auto without = measure(generate(forgetful, trace, 0, 1)), flat = measure(generate(even, trace, 0, 1));
  int overlaps = 0, skews = 0;
  for (std::size_t l = 0; l < fit.layers.size(); ++l) {
    overlaps += fit.layers[l].tokens->overlap_interval.holds(without[l].overlap);
    skews += fit.layers[l].max_over_mean.holds(flat[l].max_over_mean);
  }
  CHECK(overlaps <= 2);
  CHECK(skews == 0);
  if (of.max_over_mean == 0) return;
  // the published statistics of these very files
  CHECK(most == Approx(of.max_over_mean).margin(5e-4));
  CHECK(overlap == Approx(of.overlap).margin(5e-4));
}

TEST_CASE("The fitted fragment of a real trace loads into a sampler of its model", "[routing]") {
  const std::string file = shared_file("data/routing/deepseek_v2_lite_esft/token_routes_summary.csv.gz");
  if (file.empty()) return;
  RouteFitOptions quick;
  quick.resamples = 10;
  quick.replicates = 1;
  const RouteFit fit = fit_route_file(file, quick);
  RoutingSpec spec;
  spec.kind = RoutingKind::mixture;
  spec.file = written(generator_csv(fit), "fitted.csv");
  for (std::size_t d = 0; d < fit.generator->mixture.weights.size(); ++d)
    spec.weights.emplace_back("d" + std::to_string(d), fit.generator->mixture.weights[d]);
  CHECK(routing_yaml(fit, "fitted.csv").find("kind: mixture\n  file: fitted.csv\n  weights: {d0: 0.") !=
        std::string::npos);
  const auto popularity = expert_popularity(spec, deepseek_v2_lite(), 1);
  for (int l = 0; l < 26; ++l)
    CHECK(imbalance(popularity.layer(l)) ==
          Approx(fit.layers[static_cast<std::size_t>(l)].loads.max_over_mean).epsilon(1e-4));
}

TEST_CASE("Loads measured on Mixtral and OLMoE have the published skew", "[routing]") {
  const std::string file = shared_file("data/routing/olmoe_mixtral/expert_counts.csv");
  if (file.empty()) return;
  RouteFitOptions options;
  options.where = {{"model", "olmoe"}, {"domain", "c4"}, {"kind", "expert_counts"}};
  const RouteFit olmoe = fit_route_file(file, options);
  REQUIRE(olmoe.layers.size() == 3);
  for (const LayerFit& layer : olmoe.layers) {
    INFO("layer " << layer.layer);
    // the ranges of domain rules D.2 for C4, rounded there to two digits
    CHECK((layer.loads.max_over_mean > 2.45 && layer.loads.max_over_mean < 3.05));
    CHECK((layer.loads.cv > 0.315 && layer.loads.cv < 0.515));
    CHECK((layer.loads.dirichlet_concentration.value() > 3.65 && layer.loads.dirichlet_concentration.value() < 9.35));
    CHECK((layer.ranks[2].ranks == 8 && layer.ranks[2].max_over_mean > 1.085 && layer.ranks[2].max_over_mean < 1.205));
  }
  CHECK_THROWS_AS(fit_route_file(file, {}), InputError);
}
