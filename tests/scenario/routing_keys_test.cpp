// The routing section: which keys go together, and what reaches the model.

#include "tests/catch_compat.hpp"
#include "tests/scenario/small_scenario.hpp"

using namespace moesim;
using namespace moesim::testing;

namespace {

Scenario with(const std::string& routing) {
  return parse(kSmall + "routing: " + routing + "\n");
}
std::string refused(const std::string& routing) {
  return refusal(kSmall + "routing: " + routing + "\n");
}

}  // namespace

TEST_CASE("Every parameter of a kind of routing reaches the model", "[scenario]") {
  CHECK(with("{kind: lognormal, sigma: 0.7}").routing.sigma == 0.7);
  const RoutingSpec law = with("{kind: power_law, alpha: 1.2, min: 2, max: 9}").routing;
  CHECK(law.kind == RoutingKind::power_law);
  CHECK((law.alpha == 1.2 && law.least == 2 && law.most == 9));
  const RoutingSpec logits = with("{kind: logits, sigma: 1, spread: 0.5, domains: 3}").routing;
  CHECK((logits.sigma == 1 && logits.spread == 0.5 && logits.domains == 3));
  CHECK(with("{kind: expert_choice, sigma: 1, capacity: {factor: 2}}").routing.capacity.factor == 2);
  const RoutingSpec markov = with("{kind: markov, exponent: 0.6, affinity: 0.4, persistence: 0.1}").routing;
  CHECK((markov.exponent == 0.6 && markov.affinity == 0.4 && markov.persistence == 0.1));
  const RoutingSpec mixture =
      with(
          "{kind: mixture, file: routing/mixtral_8x7b_mmlu_shares.csv, weights: {law: 1, code: 2.5}, domain_column: d}")
          .routing;
  CHECK(mixture.weights == std::vector<std::pair<std::string, double>>{{"law", 1}, {"code", 2.5}});
  CHECK(mixture.domain_column == "d");
  CHECK_FALSE(mixture.persistence.has_value());
}

TEST_CASE("A capacity limit is read whole, and only where it means something", "[scenario]") {
  const CapacitySpec backup =
      with(
          "{kind: logits, sigma: 1, capacity: {policy: backup, factor: 1.25, min: 4, scope: global, max_hops: 2, "
          "pad: true}}")
          .routing.capacity;
  CHECK(backup.policy == CapacityPolicy::backup);
  CHECK((backup.factor == 1.25 && backup.least == 4 && backup.max_hops == 2 && backup.pad));
  CHECK(backup.scope == CapacityScope::global);
  CHECK(with("{capacity: {policy: drop_position, factor: 1}}").routing.capacity.scope == CapacityScope::rank);
  CHECK(refused("{capacity: {policy: drop_position}}") ==
        "s.yaml: routing.capacity.factor: got nothing, expected a number above 0: routing.capacity.policy "
        "drop_position needs it");
  CHECK(refused("{capacity: {factor: 1.5}}") ==
        "s.yaml:4:30: routing.capacity.factor: got 1.5, expected no such key with routing.capacity.policy none");
  CHECK(refused("{capacity: {policy: drop_prob, factor: 1}}") ==
        "s.yaml:4:30: routing.capacity.policy: got drop_prob with routing.kind uniform, expected routing.kind logits, "
        "which has router scores, or drop_position");
  CHECK(refused("{sampler: aggregate, capacity: {policy: drop_position, factor: 1}}") ==
        "s.yaml:4:20: routing.sampler: got aggregate with routing.capacity.policy, expected token: places are given to "
        "tokens, not to loads");
  CHECK(refused("{kind: expert_choice, sigma: 1, capacity: {policy: drop_position, factor: 1}}") ==
        "s.yaml:4:61: routing.capacity.policy: got drop_position, expected none with routing.kind expert_choice, which "
        "fills every expert exactly");
  CHECK(refused("{capacity: {policy: drop_position, factor: 1, max_hops: 2}}") ==
        "s.yaml:4:66: routing.capacity.max_hops: got 2, expected no such key with routing.capacity.policy "
        "drop_position (only with backup)");
}

TEST_CASE("Parameters of routing that contradict each other are refused at their key", "[scenario]") {
  CHECK(refused("{kind: power_law, alpha: 1, min: 2, max: 1}") ==
        "s.yaml:4:51: routing.max: got 1, expected at least routing.min, 2");
  CHECK(refused("{kind: mixture, file: routing/mixtral_8x7b_mmlu_shares.csv}")
            .find("routing.weights: got nothing, expected a map of domain to share, as {law: 1, code: 3}: routing.kind "
                  "mixture needs it") != std::string::npos);
  CHECK(refused("{kind: histogram, file: routing/mixtral_8x7b_mmlu_shares.csv, where: law}")
            .find("routing.where: got the text 'law', expected a map of column to value, as {domain: law}") !=
        std::string::npos);
  CHECK(refused("{kind: mixture, file: routing/mixtral_8x7b_mmlu_shares.csv, weights: {law: much}}")
            .find("routing.weights: got law: much, expected a number of at least 0 for every domain") !=
        std::string::npos);
  CHECK(refused("{kind: markov, exponent: 0.5, persistence: 1}").find("expected a number from 0 to 0.999") !=
        std::string::npos);
  CHECK(refused("{kind: lognormal}") ==
        "s.yaml: routing.sigma: got nothing, expected a number from 0 to 20: routing.kind lognormal needs it");
}
