#include <algorithm>

#include "tests/catch_compat.hpp"
#include "tests/scenario/small_scenario.hpp"

using namespace moesim;
using namespace moesim::testing;

TEST_CASE("An override --set overrides a value of the file, and the last one wins", "[scenario]") {
  CHECK(parse(kSmall, {{"workload.tokens_per_gpu", "32"}}).workload.tokens_per_gpu == 32);
  CHECK(parse(kSmall, {{"seed", "2"}, {"seed", "3"}}).seed == 3);
  CHECK(parse("", {{"model", "mixtral-8x7b"}, {"cluster.gpu", "h100-sxm"}, {"workload.tokens_per_gpu", "1"}})
            .workload.tokens_per_gpu == 1);
}

TEST_CASE("An override --set with an unknown path or a bad value names itself", "[scenario]") {
  CHECK(refusal(kSmall, {{"layout.expert.ep", "8"}}) ==
        "--set layout.expert.ep=8: got the unknown key 'layout.expert.ep', expected a key of the scenario (see `moesim "
        "schema`); did you mean layout.experts.ep?");
  CHECK(refusal(kSmall, {{"layout.experts.ep", "abc"}}) ==
        "--set layout.experts.ep=abc: got the text 'abc', expected an integer from 1 to 65536");
  CHECK(refusal(kSmall, {{"seed.x", "1"}}).find("--set seed.x=1: got the unknown key 'seed.x'") == 0);
  CHECK(refusal(kSmall, {{"", "1"}}).find("--set =1: got the unknown key ''") == 0);
}

TEST_CASE("An override --set path= takes a key or a section out", "[scenario]") {
  const std::string text = kSmall + "slo: {ttft: 2 s, tpot: 50 ms}\nrouting: {kind: zipf, exponent: 0.6}\n";
  CHECK_FALSE(parse(text, {{"slo.ttft", ""}}).slo.ttft.has_value());
  CHECK(parse(text, {{"slo.ttft", ""}}).slo.tpot.has_value());
  CHECK(parse(text, {{"routing", ""}}).routing.kind == RoutingKind::uniform);
  CHECK(parse(text, {{"routing.kind", "uniform"}, {"routing.exponent", ""}}).routing.kind == RoutingKind::uniform);
}

TEST_CASE("An override --set replaces a whole section by a map", "[scenario]") {
  const std::string text = kSmall + "routing: {kind: zipf, exponent: 0.6}\n";
  const Scenario scenario = parse(text, {{"routing", "{kind: dirichlet, concentration: 2}"}});
  CHECK(scenario.routing.kind == RoutingKind::dirichlet);
  CHECK(scenario.routing.concentration == 2);
  CHECK(refusal(text, {{"routing", "{kind: zipf, exponent: x}"}}) ==
        "--set routing={kind: zipf, exponent: x}: routing.exponent: got the text 'x', expected a number from 0 to 10");
  CHECK(refusal(text, {{"routing", "zipf"}}) ==
        "--set routing=zipf: got the text 'zipf', expected a map with keys of kind, exponent, concentration, "
        "sigma, alpha, min, max, spread, domains, file, where, weights, domain_column, affinity, persistence, "
        "capacity, sampler");
}

TEST_CASE("An override --set reaches a column of routing.where", "[scenario]") {
  const std::string text =
      kSmall + "routing: {kind: histogram, file: routing/mixtral_8x7b_mmlu_shares.csv, where: {domain: law}}\n";
  const Scenario scenario = parse(text, {{"routing.where.domain", "medicine"}, {"routing.where.phase", "1"}});
  REQUIRE(scenario.routing.where.size() == 2);
  auto where = scenario.routing.where;
  std::sort(where.begin(), where.end());
  CHECK(where[0] == std::pair<std::string, std::string>{"domain", "medicine"});
  CHECK(where[1] == std::pair<std::string, std::string>{"phase", "1"});
}

TEST_CASE("An override below an alias changes only its own path", "[scenario]") {
  const std::string text =
      "model: mixtral-8x7b\ncluster: {gpu: h100-sxm}\nworkload: {tokens_per_gpu: 64}\n"
      "slo: {ttft: &limit 50 ms, tpot: *limit}\n";
  const Scenario both = parse(text);
  CHECK(both.slo.ttft == both.slo.tpot);
  const Scenario one = parse(text, {{"slo.tpot", "20 ms"}});
  CHECK(one.slo.ttft->value() == 0.05);
  CHECK(one.slo.tpot->value() == 0.02);
}
