// `moesim routing` and the capacity of `moesim run`, as run.

#include <filesystem>
#include <fstream>

#include <nlohmann/json.hpp>

#include "tests/catch_compat.hpp"
#include "tests/cli/json_schema.hpp"
#include "tests/cli/run_command.hpp"
#include "tests/own_folder.hpp"
#include "tests/shared_data.hpp"
#include "tests/temporary_folder.hpp"

using namespace moesim::testing;

namespace {

nlohmann::json json_of(const std::vector<std::string>& arguments) {
  const CommandResult result = run_command(arguments);
  INFO(result.err);
  REQUIRE(result.exit == 0);
  return nlohmann::json::parse(result.out);
}

/// Four requests of 50 tokens, top-2 of eight experts, every other token a repeat of the one before.
std::string small_trace() {
  std::ofstream out{own_folder.path() / "trace.csv"};
  out << "seq,pos,layer,e0,e1\n";
  for (int request = 0; request < 4; ++request)
    for (int pos = 0; pos < 50; ++pos)
      for (int layer = 0; layer < 2; ++layer) {
        const int e = (pos / 2 * 3 + request + layer) % 8;
        out << request << ',' << pos << ',' << layer << ',' << e << ',' << (e + 1 + pos / 2 % 3) % 8 << '\n';
      }
  return (own_folder.path() / "trace.csv").string();
}

std::string scenario(const std::string& routing) {
  const std::string file = (own_folder.path() / "capacity.yaml").string();
  std::ofstream{file} << "model: deepseek-v2-lite\ncluster: {gpu: h100-sxm}\n"
                         "workload: {tokens_per_gpu: 32, context: 256, steps: 3}\nrouting: "
                      << routing << "\n";
  return file;
}

nlohmann::json summary_of(const std::string& routing) {
  return json_of({"run", scenario(routing), "--out", (own_folder.path() / "out").string(), "--force", "--json"});
}

}  // namespace

TEST_CASE("The JSON of routing fit obeys its schema for tokens, loads and pairs", "[cli]") {
  const auto tokens = json_of({"routing", "fit", small_trace(), "--json"});
  CHECK(schema_violations(tokens, "routing_fit") == "");
  CHECK(tokens["requests"] == 4);
  CHECK(tokens["experts_per_token"] == 2);
  const auto loads =
      json_of({"routing", "fit",
               std::string{MOESIM_TEST_SOURCE_DIR} + "/scenarios/routing/mixtral_8x7b_mmlu_shares.csv", "--json"});
  CHECK(schema_violations(loads, "routing_fit") == "");
  CHECK(loads["layers"].size() == 32);
  CHECK(loads["generator"].is_null());
  const std::string pairs = shared_file("data/routing/olmoe_mixtral/crosslayer_counts.csv.gz");
  if (pairs.empty()) return;
  const auto crossed = json_of({"routing", "fit", pairs, "--where", "model=olmoe", "--where", "domain=c4", "--where",
                                "kind=expert_counts_crosslayer", "--json"});
  CHECK(schema_violations(crossed, "routing_fit") == "");
  CHECK(crossed["pairs"].size() == 2);
}

TEST_CASE("A fitted fragment runs as the routing of a scenario", "[cli]") {
  const std::string file = shared_file("data/routing/deepseek_v2_lite_esft/token_routes_summary.csv.gz");
  if (file.empty()) return;
  const std::string out = (own_folder.path() / "fitted.yaml").string();
  const CommandResult fit = run_command({"routing", "fit", file, "--out", out, "--resamples", "10", "--quiet"});
  REQUIRE(fit.exit == 0);
  std::ifstream in{out};
  const std::string fragment{std::istreambuf_iterator<char>{in}, {}};
  const std::string whole = (own_folder.path() / "whole.yaml").string();
  std::ofstream{whole} << "model: deepseek-v2-lite\ncluster: {gpu: h100-sxm}\n"
                          "workload: {tokens_per_gpu: 32, context: 256, steps: 2}\n"
                       << fragment;
  const auto summary = json_of({"run", whole, "--out", (own_folder.path() / "fitted").string(), "--json"});
  CHECK(summary["chosen"]["routing.sampler"] == "token");
  CHECK(summary["imbalance"]["expert"]["mean"] > 2);
}

TEST_CASE("A fit replaces neither its fragment nor the shares beside it unasked, and never what it reads", "[cli]") {
  const TemporaryFolder scratch;
  const std::string trace = scratch.path("trace.csv");
  std::filesystem::copy_file(small_trace(), trace);
  const auto fit = [&](const std::string& file, const std::string& out, bool force = false) {
    std::vector<std::string> arguments{"routing", "fit", file, "--resamples", "10", "--quiet", "--out", out};
    if (force) arguments.emplace_back("--force");
    const CommandResult result = run_command(arguments);
    CHECK(result.exit == (result.err.empty() ? 0 : 2));
    return result.err;
  };
  const auto exists = [](const std::string& file) {
    return "moesim: --out: got '" + file + "', which exists, expected a new file, or --force to replace it\n";
  };
  CHECK(fit(trace, scratch.path("a.yaml")) == "");
  CHECK(fit(trace, scratch.path("a.yaml")) == exists(scratch.path("a.yaml")));
  CHECK(fit(trace, scratch.path("a.yaml"), true) == "");
  CHECK(fit(trace, scratch.path("a.yml")) == exists(scratch.path("a.csv")));
  CHECK_FALSE(std::filesystem::exists(scratch.path() / "a.yml"));
  const auto before = std::filesystem::file_size(trace);
  for (const bool force : {false, true})
    CHECK(fit(trace, scratch.path("trace.yaml"), force) ==
          "moesim: --out: got '" + trace + "', which is read, expected another name\n");
  CHECK(std::filesystem::file_size(trace) == before);
  // Loads are read from their own file: no shares are written, so what lies beside the fragment does not matter.
  const std::string loads = scratch.write("loads.csv", "layer,expert,count\n0,0,5\n0,1,3\n");
  CHECK(fit(loads, scratch.path("loads.yaml")) == "");
}

TEST_CASE("A run with a capacity limit says what it dropped, and without one says null", "[cli]") {
  const auto limited = summary_of("{kind: logits, sigma: 1, spread: 0.5, capacity: {policy: backup, factor: 1}}");
  CHECK(schema_violations(limited, "summary") == "");
  CHECK(limited["capacity"]["policy"] == "backup");
  CHECK(limited["capacity"]["assignments"] == 3 * 26 * 6 * 32 * 8);
  CHECK(limited["capacity"]["drop_fraction"] > 0);
  CHECK(limited["capacity"]["reroute_fraction"] > 0);
  CHECK(limited["capacity"]["displaced_gate_per_assignment"] > 0);
  CHECK(limited["invariants"]["tokens_conserved"] == true);
  CHECK(summary_of("{kind: zipf, exponent: 0.5}")["capacity"].is_null());
  CHECK(run_command({"run", scenario("{capacity: {policy: drop_position, factor: 1}}"), "--out",
                     (own_folder.path() / "text").string()})
            .out.find("capacity x 1") != std::string::npos);
}

TEST_CASE("Padding computes every place: all ranks alike, and no faster than the loads", "[cli]") {
  const std::string routing = "{kind: zipf, exponent: 1, capacity: {policy: drop_position, factor: 2";
  const auto padded = summary_of(routing + ", pad: true}}"), plain = summary_of(routing + "}}");
  CHECK(padded["imbalance"]["gpu"]["max"] == 1);
  CHECK(plain["imbalance"]["gpu"]["max"] > 1.1);
  CHECK(padded["capacity"]["padded_slots"] == plain["capacity"]["padded_slots"]);
  CHECK(padded["invariants"]["tokens_conserved"] == true);
  CHECK(padded["step"]["mean_ms"] >= plain["step"]["mean_ms"]);
}

TEST_CASE("Experts that choose are even in a whole run", "[cli]") {
  const auto summary = summary_of("{kind: expert_choice, sigma: 1}");
  CHECK(summary["imbalance"]["expert"]["max"] == 1);
  CHECK(summary["invariants"]["tokens_conserved"] == true);
  const CommandResult refused = run_command({"run", scenario("{kind: expert_choice, sigma: 1, sampler: aggregate}"),
                                             "--out", (own_folder.path() / "refused").string()});
  CHECK(refused.exit == 2);
  CHECK(
      refused.err.find("routing.sampler: got aggregate with routing.kind expert_choice, expected token: the number of "
                       "experts varies from token to token") != std::string::npos);
}

TEST_CASE("Routing control shows collapse and its cure, within its schema", "[cli]") {
  const auto control = json_of(
      {"routing", "control", "--steps", "200", "--tokens", "256", "--rate", "0.005", "--growth", "0.005", "--json"});
  CHECK(schema_violations(control, "routing_control") == "");
  CHECK(control["free"].back()["max_over_mean"] > 2 * control["controlled"].back()["max_over_mean"].get<double>());
  CHECK(run_command({"routing", "control", "llama-3.1-8b"}).exit == 2);
  CHECK(run_command({"routing"}).exit == 2);
}
