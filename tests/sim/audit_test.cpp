#include "sim/audit.hpp"

#include <cmath>

#include "tests/catch_compat.hpp"

using namespace moesim;

namespace {

Scenario shipped(const char* name, const std::vector<Override>& overrides) {
  return load_scenario(std::string{MOESIM_TEST_SOURCE_DIR} + "/scenarios/" + name, overrides);
}

std::optional<Audit> audit_of(const Scenario& scenario, int layers) {
  return audit(scenario, plan_deployment(scenario), layers);
}

}  // namespace

TEST_CASE("An aggregate run of DeepSeek-V3 agrees with tokens and with flows", "[audit]") {
  const Scenario scenario = shipped("deepseek_v3_decode_ep32.yaml", {{"routing.sampler", "aggregate"}});
  const auto audit = audit_of(scenario, 6);
  REQUIRE(audit);
  CHECK(audit->sampled == 6);
  REQUIRE(audit->sampling);
  // Whole steps agree within 0.3 % (expert_traffic.hpp); six layers of one draw each say it within 1.6 %.
  CHECK(std::abs(audit->sampling->mean) <= 0.02);
  REQUIRE(audit->sampling->ci95);
  REQUIRE(audit->sharing);
  CHECK(audit->sharing->mean >= -1e-3);  // F0 is a lower bound; flows merge ends within a thousandth
  CHECK(audit->sharing->mean <= 0.005);
  REQUIRE(audit->bracket);
  CHECK(*audit->bracket >= 0);
  CHECK(*audit->bracket <= kStartTolerance);  // the last rank's combine is the longest, too
  CHECK(audit->escalated < audit->sampled / 2);
  CHECK(audit->staggered.has_value() == (audit->escalated > 0));
  if (audit->staggered) CHECK(audit->staggered->worst <= 1e-3);  // the common start is an upper bound
}

// A GPU with a slow link and few tokens ends its experts early and its combine late: the run's common start, which
// makes it wait for the GPU with the popular experts, is not what its flows do.
TEST_CASE("A combine whose slow link could start early is escalated to flows", "[audit]") {
  const Scenario scenario = parse_scenario(
      "model: mixtral-8x7b\n"
      "cluster: {gpu: h100-sxm, links: [{name: n0g3 <-> n0 nvswitch, factor: 0.3}]}\n"
      "layout: {attention: {dp: 8}, experts: {ep: 8}}\n"
      "placement: {policy: linear}\n"
      "routing: {kind: zipf, exponent: 1.0}\n"
      "workload: {phase: prefill, tokens_per_gpu: 4096, context: 4096, steps: 2}\n",
      "test", ".");
  const auto audit = audit_of(scenario, 4);
  REQUIRE(audit);
  REQUIRE(audit->bracket);
  CHECK(*audit->bracket > kStartTolerance);
  CHECK(audit->escalated == 4);
  REQUIRE(audit->staggered);
  CHECK(audit->staggered->mean <= -kStartTolerance);
  CHECK(audit->staggered->mean >= -*audit->bracket - 1e-3);  // flows merge ends within a thousandth
}

TEST_CASE("The same audit twice is the same", "[audit]") {
  const Scenario scenario = shipped("deepseek_v3_decode_ep32.yaml", {});
  const auto first = audit_of(scenario, 2), second = audit_of(scenario, 2);
  REQUIRE((first && second));
  CHECK(first->sampling->mean == second->sampling->mean);
  CHECK(first->sharing->worst == second->sharing->worst);
}

TEST_CASE("A layout without a dispatch has no flows to replay", "[audit]") {
  const auto audit = audit_of(shipped("qwen3_235b_tp8.yaml", {{"workload.steps", "2"}}), 3);
  REQUIRE(audit);
  CHECK(audit->sampled == 3);
  CHECK(audit->sampling);
  CHECK_FALSE(audit->sharing);
  CHECK_FALSE(audit->staggered);
}

// Flows of one stage at a time, against the fluid time of one stage after the other.
TEST_CASE("A staged all-to-all is replayed stage by stage", "[audit]") {
  const auto audit = audit_of(shipped("deepseek_v3_decode_ep32.yaml",
                                      {{"communication.all_to_all", "hierarchical"}, {"communication.rails", "pxn"}}),
                              1);
  REQUIRE(audit);
  REQUIRE(audit->sharing);
  CHECK(audit->sharing->mean >= -1e-3);
  CHECK(audit->sharing->mean <= 0.02);
  CHECK_FALSE(audit->staggered);
}

// Stages see their own GPUs and MoE layers; steps are cut into microbatches, each of which may be sampled.
TEST_CASE("The layers of every pipeline stage are audited in their own nodes", "[audit]") {
  const Scenario scenario = shipped("qwen3_235b_pipeline.yaml", {{"workload.steps", "1"}});
  const auto audit = audit_of(scenario, 1000);
  REQUIRE(audit);
  CHECK(audit->sampled == 2 * scenario.model.moe_layers());  // two microbatches
  REQUIRE(audit->sampling);
  CHECK(std::abs(audit->sampling->mean) <= 0.02);
  REQUIRE(audit->sharing);
  CHECK(std::abs(audit->sharing->mean) <= 1e-3);   // eight GPUs on one NVSwitch: F0 is exact
  CHECK(std::abs(audit->sharing->worst) <= 0.01);  // a microsecond of a short one: ends that near are merged
}

TEST_CASE("What goes between the pools of attention and of experts is audited", "[audit]") {
  const Scenario scenario =
      shipped("mixtral_disaggregated_experts.yaml", {{"workload.steps", "2"}, {"routing.sampler", "aggregate"}});
  const auto audit = audit_of(scenario, 40);
  REQUIRE(audit);
  CHECK(audit->sampled == 40);
  REQUIRE(audit->sampling);
  CHECK(std::abs(audit->sampling->mean) <= 0.02);
  REQUIRE(audit->sharing);
  CHECK(std::abs(audit->sharing->mean) <= 1e-3);
}

TEST_CASE("An audit takes no more layers than there are", "[audit]") {
  const Scenario scenario = shipped("quickstart.yaml", {{"workload.steps", "1"}});
  CHECK_FALSE(audit_of(scenario, 0));
  const auto audit = audit_of(scenario, 1000);
  REQUIRE(audit);
  CHECK(audit->sampled == scenario.model.moe_layers());
}

TEST_CASE("How many layers a run audits depends on its size alone", "[audit]") {
  const auto rule = [](const char* name, const char* steps) {
    const Scenario scenario = shipped(name, {{"workload.steps", steps}});
    return default_audit(scenario, plan_deployment(scenario));
  };
  CHECK(rule("deepseek_v3_decode_ep144.yaml", "50") == 0);       // three replays take 60 s, the run 0.06 s
  CHECK(rule("deepseek_v3_decode_ep144.yaml", "1000000") == 2);  // the run 1,300 s
  CHECK(rule("deepseek_v3_decode_ep32.yaml", "1000000") == 8);
  CHECK(rule("quickstart.yaml", "1") == 1);
}
