// Formats per expert, offload and extra operations as a user meets them.

#include <nlohmann/json.hpp>

#include "tests/catch_compat.hpp"
#include "tests/cli/json_schema.hpp"
#include "tests/cli/run_command.hpp"
#include "tests/temporary_folder.hpp"

using namespace moesim::testing;
using Catch::Matchers::Contains;

namespace {

/// Resident, Mixtral in bf16 needs more than an H100 has.
constexpr auto kMixtral =
    "model: mixtral-8x7b\ncluster: {gpu: h200-sxm, gpus_per_node: 1}\n"
    "workload: {tokens_per_gpu: 4, context: 1024, steps: 5}\n";

/// The summary of that scenario with more keys, checked against its schema.
nlohmann::json summary_of(const std::string& more) {
  const TemporaryFolder scratch;
  const CommandResult result =
      run_command({"run", scratch.write("s.yaml", kMixtral + more), "--out", scratch.path("r"), "--json"});
  INFO(more << result.err);
  REQUIRE(result.exit == 0);
  nlohmann::json summary = nlohmann::json::parse(result.out);
  CHECK(schema_violations(summary, "summary") == "");
  return summary;
}

double step_ms(const nlohmann::json& summary) {
  return summary["step"]["mean_ms"].get<double>();
}

}  // namespace

TEST_CASE("Offload lengthens a step by the bytes it fetches over the bandwidth and by nothing else", "[cli]") {
  const nlohmann::json resident = summary_of("");
  CHECK(resident["offload"].is_null());
  CHECK(resident["memory"]["offloaded_bytes"] == 0);
  for (const char* resident_slots : {"0", "3"}) {
    const nlohmann::json away =
        summary_of(std::string{"offload: {to: host, bandwidth: 50 GB/s, resident: "} + resident_slots + "}\n");
    const nlohmann::json& offload = away["offload"];
    const double fetched_ms = offload["fetched_bytes_per_step"].get<double>() / 50e9 * 1e3;
    CHECK(step_ms(away) - step_ms(resident) == Approx(fetched_ms).epsilon(1e-9));
    CHECK(away["critical_path"]["offload"].get<double>() == Approx(fetched_ms / step_ms(away)).epsilon(1e-9));
    CHECK((offload["hit_rate"] == 0) == (resident_slots[0] == '0'));
  }
  const nlohmann::json cached = summary_of("offload: {to: host, bandwidth: 50 GB/s, resident: 4, hit_rate: 0.75}\n");
  CHECK(cached["offload"]["hit_rate"].get<double>() == Approx(0.75));
  const nlohmann::json missing = summary_of("offload: {to: host, bandwidth: 50 GB/s, resident: 4, hit_rate: 0}\n");
  CHECK(step_ms(cached) - step_ms(resident) == Approx(0.25 * (step_ms(missing) - step_ms(resident))).epsilon(1e-9));
}

TEST_CASE("A quality penalty is weighed by the tokens that each expert had", "[cli]") {
  // balanced: 4 tokens x 2 over 8 experts, one row each. Experts 0 and 1 in int3: (0.5 + 2) / 8
  const nlohmann::json summary = summary_of(
      "routing: {kind: balanced}\n"
      "precision: {experts: [int3_group128, int3_group128, bf16, bf16, bf16, bf16, bf16, bf16]}\n"
      "quality_penalty: [{format: int3_group128, penalty: 0.5}, {format: int3_group128, expert: 1, penalty: 2}]\n");
  CHECK(summary["quality_penalty"].get<double>() == Approx(2.5 / 8));
  CHECK(summary_of("")["quality_penalty"].is_null());
}

TEST_CASE("The terminal says what was fetched and what the formats cost in quality", "[cli]") {
  const TemporaryFolder scratch;
  const std::string scenario =
      scratch.write("s.yaml", std::string{kMixtral} +
                                  "offload: {to: nvme, resident: 0}\nprecision: {experts: int8}\n"
                                  "quality_penalty: [{format: int8, penalty: 0.25}]\n");
  const CommandResult result = run_command({"run", scenario, "--out", scratch.path("r")});
  CHECK(result.exit == 0);
  CHECK_THAT(result.out, Contains("nvme at 7 GB/s: 0 resident per layer, 0.0 % of wanted experts hit"));
  CHECK_THAT(result.out, Contains("quality penalty        0.25, as given and weighed by load"));
}

TEST_CASE("The model command weighs every expert in its own format", "[cli]") {
  const std::string list = "mxfp4,mxfp4,mxfp4,mxfp4,mxfp4,mxfp4,mxfp4,int8";
  const CommandResult result = run_command({"model", "mixtral-8x7b", "--experts", list, "--json"});
  REQUIRE(result.exit == 0);
  const auto model = nlohmann::json::parse(result.out);
  CHECK(schema_violations(model, "model") == "");
  // 32 layers of 176,160,768 weights: seven of 4.25 bit; int8 with 16 bits per output channel: gate and up have 28,672
  // of them, down 4,096
  const double int8 = 176160768.0 + 2.0 * (28672 + 4096);
  CHECK(model["weight_bytes"]["asked"]["by_class"]["experts"].get<double>() ==
        Approx(32 * (7 * 176160768.0 * 4.25 / 8 + int8)).epsilon(1e-12));
  CHECK(model["ops_precision"]["experts"] == "int8");
  CHECK(model["ops_precision"]["expert_formats"].size() == 8);
  CHECK_THAT(run_command({"model", "mixtral-8x7b", "--experts", list}).out, Contains("asked"));
  CHECK(run_command({"model", "mixtral-8x7b", "--experts", "int8,int8"}).exit == 2);
  CHECK(run_command({"model", "llama-2-13b", "--experts", "int8"}).exit == 2);
}
