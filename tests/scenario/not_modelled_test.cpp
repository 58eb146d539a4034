#include <fmt/format.h>

#include "sim/scenario/keys.hpp"
#include "tests/catch_compat.hpp"
#include "tests/scenario/small_scenario.hpp"

using namespace moesim;
using namespace moesim::testing;

TEST_CASE("What is not modelled yet is refused by name, with what to use", "[scenario]") {
  CHECK(refusal(kSmall + "placement: {policy: affinity}\n") ==
        "s.yaml:4:21: placement.policy: affinity is not modelled yet; use eplb");
  CHECK(refusal(kSmall + "workload: {tokens_per_gpu: 64, kind: poisson}\n").find("the key 'workload' again") !=
        std::string::npos);
  CHECK(refusal(kSmall, {{"workload.kind", "poisson"}}) ==
        "--set workload.kind=poisson: poisson is not modelled yet; use batch");
}

/// The table's own list: a name that slips through as neither fails here.
TEST_CASE("Every name of the contract is either taken or refused as not modelled yet", "[scenario]") {
  int later = 0, now = 0;
  for (const Key& key : scenario_keys())
    for (const Choice& choice : key.choices) {
      INFO(fmt::format("{}={}", key.path, choice.name));
      const Override override{key.path, choice.name};
      if (choice.instead.empty()) {
        ++now;
        try {
          const Scenario scenario = parse(kSmall, {override});
          CHECK(scenario.model.name == "mixtral-8x7b");
        } catch (const NotModelledYet&) {
          FAIL_CHECK("refused although the table calls it modelled");
        } catch (const InputError&) {  // it needs another key as well, as routing.kind: zipf its exponent
        }
        continue;
      }
      ++later;
      CHECK_THROWS_AS(parse(kSmall, {override}), NotModelledYet);
      // and what is offered instead exists
      CHECK_NOTHROW([&] {
        for (const Choice& other : key.choices)
          if (other.name == choice.instead && other.instead.empty()) return;
        throw std::runtime_error{"offers " + std::string{choice.instead}};
      }());
    }
  CHECK(now > 50);
  CHECK(later > 10);
}
