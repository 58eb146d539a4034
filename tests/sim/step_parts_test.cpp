// Parts of a step that no formula of one operation tells: what runs beside what, and what the host adds.

#include "models/llm/ops.hpp"
#include "tests/catch_compat.hpp"
#include "tests/sim/forked_summary.hpp"

using namespace moesim;
using namespace moesim::testing;
using Json = nlohmann::json;

namespace {

/// DeepSeek-V2-Lite with its experts cut over the attention's GPUs: nothing is dispatched.
Scenario cut_experts(const std::vector<Override>& overrides) {
  return parse_scenario(
      "model: deepseek-v2-lite\ncluster: {gpu: h100-sxm, nodes: 1, gpus_per_node: 2}\n"
      "layout: {attention: {tp: 2}, experts: {ep: 1, tp: 2}}\nrouting: {kind: balanced}\n"
      "workload: {tokens_per_gpu: 2, context: 1024, steps: 2}\n",
      "cut.yaml", ".", overrides);
}

double step_ms(const Scenario& scenario) {
  return forked_summary(scenario)["step"]["mean_ms"].get<double>();
}

}  // namespace

TEST_CASE("Beside the routed experts the shared ones lose their launches and keep their work", "[sim]") {
  const Scenario beside = cut_experts({}), apart = cut_experts({{"overlap.shared_experts", "false"}});
  // Four tokens read whole matrices, as one token does: of each roofline time only the launch is hidden.
  const auto ops = shared_expert_ops(beside.model, beside.precision, 4, 2);
  REQUIRE(ops.size() == 3);
  const double launches = 3 * beside.cluster.gpu.kernel_launch.value() * beside.model.moe_layers();
  CHECK(step_ms(apart) - step_ms(beside) == Approx(launches * 1e3).epsilon(1e-6));
  // Many tokens are work that nothing hides: no more than the launches again.
  const std::vector<Override> prefill{
      {"workload.phase", "prefill"}, {"workload.tokens_per_gpu", "4096"}, {"workload.context", "4096"}};
  std::vector<Override> alone = prefill;
  alone.push_back({"overlap.shared_experts", "false"});
  CHECK(step_ms(cut_experts(alone)) - step_ms(cut_experts(prefill)) == Approx(launches * 1e3).epsilon(1e-6));
}

TEST_CASE("The host's time is a part of every step of its own", "[sim]") {
  const Json without = forked_summary(cut_experts({}));
  const Json with = forked_summary(cut_experts({{"workload.host_time", "1.5 ms"}}));
  const double step = with["step"]["mean_ms"];
  CHECK(step == Approx(without["step"]["mean_ms"].get<double>() + 1.5).epsilon(1e-9));
  CHECK(with["critical_path"]["host"].get<double>() * step == Approx(1.5).epsilon(1e-9));
  const auto tells_zero = [](const Json& summary) {
    return summary["notes"].dump().find("host time per step is 0 (workload.host_time)") != std::string::npos;
  };
  CHECK(tells_zero(without));
  CHECK_FALSE(tells_zero(with));
}

TEST_CASE("The experts' time beside their source is that of the step where few tokens touch few experts", "[sim]") {
  for (const char* tokens : {"2", "8", "64"}) {
    INFO(tokens);
    const Json summary = forked_summary(
        cut_experts({{"workload.tokens_per_gpu", tokens}, {"routing.kind", "uniform"}, {"workload.steps", "8"}}));
    double told = 0;
    for (const Json& use : summary["kernels"])
      if (use["op_class"] == "expert") told += use["time_ms"].get<double>();
    const double taken = summary["critical_path"]["experts"].get<double>() * summary["step"]["mean_ms"].get<double>();
    CHECK(told == Approx(taken).epsilon(0.1));  // a token never takes an expert twice, a Poisson may
  }
}

TEST_CASE("The collectives that a profile times beside their source are those of the step", "[sim]") {
  struct Case {
    const char *layout, *exchange, *imbalance;
    std::vector<const char*> collectives, causes;
  };
  // GPUs of a node: sums over TP; sums spread over it; gathering and scattering of tokens, each with its route
  const std::vector<Case> cases{
      {"{attention: {tp: 8, dp: 1}, experts: {ep: 1, tp: 8}}", "auto", "1", {"all_reduce"}, {"tp_collective"}},
      {"{attention: {tp: 4, dp: 2}, experts: {ep: 8, tp: 1}}",
       "allgather_reducescatter",
       "1",
       {"reduce_scatter", "all_gather"},
       {"tp_collective", "dispatch", "combine"}},
      {"{attention: {tp: 1, dp: 8}, experts: {ep: 8, tp: 1}}",
       "allgather_reducescatter",
       "1.1",
       {"reduce_scatter", "all_gather"},
       {"dispatch", "combine"}}};
  for (const Case& of : cases)
    for (const char* padding : {"max", "none"}) {
      INFO(of.layout << " padding " << padding);
      const Json summary = forked_summary(
          parse_scenario("model: deepseek-v3\ncluster: {gpu: h100-sxm, nodes: 1}\nlayout: " + std::string{of.layout} +
                             "\nrouting: {kind: balanced}\nmemory_fraction: 1\nprecision: {experts: mxfp4}\n"
                             "workload: {phase: prefill, tokens_per_gpu: 100, context: 100, dp_imbalance: " +
                             of.imbalance +
                             ", steps: 1}\n"
                             "kernels: {profile: h100-sxm, engine: trtllm, fallback: roofline}\n"
                             "communication: {all_to_all: " +
                             of.exchange + ", dp_padding: " + padding + "}\n",
                         "collectives.yaml", ".", {}));
      double told = 0, taken = 0;
      for (const Json& use : summary["kernels"])
        for (const char* name : of.collectives)
          if (use["op_class"] == name) told += use["time_ms"].get<double>();
      for (const char* cause : of.causes)
        taken += summary["critical_path"][cause].get<double>() * summary["step"]["mean_ms"].get<double>();
      CHECK(told > 0);
      CHECK(told == Approx(taken).epsilon(1e-9));
    }
}
