// `moesim run --remedies N`: what each remedy gains, by running it.

#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include <nlohmann/json.hpp>
#include <signal.h>

#include "tests/catch_compat.hpp"
#include "tests/cli/json_schema.hpp"
#include "tests/cli/run_command.hpp"
#include "tests/temporary_folder.hpp"

using namespace moesim::testing;
using Catch::Matchers::Contains;
namespace fs = std::filesystem;

namespace {

/// A slow GPU, a slow link in one direction, and experts placed without a look at their load.
constexpr auto kPlanted =
    "model: mixtral-8x7b\n"
    "cluster:\n"
    "  gpu: h100-sxm\n"
    "  slow_gpus: [{name: n0g5, factor: 0.6}, {name: n0g6, factor: 0.9}]\n"
    "  links: [{name: n0g3 <-> n0 nvswitch, factor: 0.2}]\n"
    "layout: {attention: {dp: 8}, experts: {ep: 4, tp: 2}}\n"
    "routing: {kind: zipf, exponent: 0.5}\n"
    "workload: {phase: prefill, tokens_per_gpu: 2048, context: 2048, steps: 3}\n";

CommandResult run(const TemporaryFolder& scratch, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "run");
  return run_command(arguments, {.folder = scratch.path().string()});
}

nlohmann::json summary_of(const CommandResult& result) {
  INFO(result.err);
  auto summary = nlohmann::json::parse(result.out);
  CHECK(schema_violations(summary, "summary") == "");
  return summary;
}

}  // namespace

TEST_CASE("The gain of a remedy is exactly that of its rerun by hand", "[cli]") {
  const TemporaryFolder scratch;
  scratch.write("s.yaml", kPlanted);
  const auto before = summary_of(run(scratch, {"s.yaml", "--set", "seed=7", "--remedies", "3", "--json"}));
  int gains = 0, number = 0;
  for (const auto& spot : before["hotspots"]) {
    if (spot["gain_ms"].is_null()) continue;
    ++gains;
    std::vector<std::string> by_hand{"s.yaml", "--set", "seed=7", "--json"};
    for (const auto& item : spot["set"]) {
      by_hand.emplace_back("--set");
      by_hand.push_back(item["key"].get<std::string>() + "=" + item["value"].get<std::string>());
    }
    INFO(spot.dump(1));
    const auto after = summary_of(run(scratch, by_hand));
    const double gain = before["step"]["mean_ms"].get<double>() - after["step"]["mean_ms"].get<double>();
    CHECK(spot["gain_ms"].get<double>() == Approx(gain).margin(1e-9));
    if (number++ == 0) CHECK(gain > 0);
  }
  CHECK(gains >= 3);
  const auto& top = before["hotspots"][0];
  CHECK(top["id"] == "n0g5");
  CHECK(top["set"] == nlohmann::json::parse(R"([{"key": "cluster.slow_gpus",)"
                                            R"( "value": "[{name: \"n0g6\", factor: 0.9}]"}])"));
}

TEST_CASE("A run with reruns differs from one without in their findings alone", "[cli]") {
  const TemporaryFolder scratch;
  scratch.write("s.yaml", kPlanted);
  auto with = summary_of(run(scratch, {"s.yaml", "--remedies", "1", "--json"}));
  const auto without = summary_of(run(scratch, {"s.yaml", "--json"}));
  CHECK(with["hotspots"][0]["gain_note"].is_string());
  CHECK(without["hotspots"][0]["gain_note"].is_null());
  for (auto& spot : with["hotspots"]) spot["gain_ms"] = spot["gain_note"] = nullptr;
  CHECK(with == without);
}

TEST_CASE("Reruns are read below the hotspots", "[cli]") {
  const TemporaryFolder scratch;
  scratch.write("s.yaml", kPlanted);
  const CommandResult result = run(scratch, {"s.yaml", "--set", "seed=7", "--remedies", "1"});
  CHECK(result.exit == 0);
  CHECK(result.err.empty());
  CHECK_THAT(result.out, Contains("  hotspots   1  gpu n0g5: costs "));
  CHECK_THAT(result.out, Contains("; it computes at 60 % of the others' speed\n"));
  CHECK_THAT(result.out,
             Contains("  remedies   1  repair it: --set cluster.slow_gpus='[{name: \"n0g6\", factor: 0.9}]'\n"
                      "               -> step "));
  CHECK_THAT(result.out, Contains(" % shorter\n"));
  const CommandResult even = run(scratch, {kScenarios + "mixtral_against_dense.yaml", "--remedies", "2"});
  CHECK(even.exit == 0);
  CHECK_THAT(even.out, Contains("  remedies   none to rerun: no hotspot has one that a scenario can state\n"));
}

TEST_CASE("Where hotspots share a remedy others are tried beside it", "[cli]") {
  const TemporaryFolder scratch;
  const std::vector<std::string> base{kScenarios + "quickstart.yaml", "--set", "workload.steps=5"};
  auto with = base;
  with.insert(with.end(), {"--remedies", "2", "--json"});
  const auto before = summary_of(run(scratch, with));
  const std::string note = before["hotspots"][0]["gain_note"];
  CHECK(before["hotspots"][0]["set"][1]["value"] == "8");
  CHECK_THAT(note, Contains("; with --set placement.policy=eplb --set placement.redundant=16 instead: step "));
  auto by_hand = base;
  by_hand.insert(by_hand.end(), {"--set", "placement.policy=eplb", "--set", "placement.redundant=16"});
  const std::string alone = run(scratch, by_hand).out;
  const auto at = alone.find("  step ");
  REQUIRE(at != std::string::npos);  // "  step 20.17 ms (18.43 ms to 22.08 ms)     output ..."
  CHECK_THAT(note, Contains("instead: " + alone.substr(at + 2, alone.find(" (", at) - at - 2) + " instead of "));
  auto many = base;
  many.insert(many.end(), {"--remedies", "9"});
  CHECK_THAT(run(scratch, many).out,
             Contains("  remedies   2 of 9 asked for: the hotspots have no others that a scenario can state\n"));
}

TEST_CASE("A remedy that does not fit says so and the run succeeds", "[cli]") {
  const TemporaryFolder scratch;
  const CommandResult result = run(scratch, {kScenarios + "quickstart.yaml", "--set", "workload.steps=2", "--set",
                                             "memory_fraction=0.5", "--remedies", "1", "--json"});
  CHECK(result.exit == 0);
  const auto spot = summary_of(result)["hotspots"][0];
  CHECK(spot["gain_ms"].is_null());
  CHECK_THAT(spot["gain_note"].get<std::string>(), Contains("mixtral-8x7b does not fit: a GPU needs "));
}

TEST_CASE("A run that does not fit says so as without reruns", "[cli]") {
  const TemporaryFolder scratch;
  const std::vector<std::string> too_much{kScenarios + "quickstart.yaml", "--set", "workload.tokens_per_gpu=4000"};
  auto with = too_much;
  with.insert(with.end(), {"--remedies", "2"});
  const CommandResult result = run(scratch, with), expected = run(scratch, too_much);
  CHECK(result.exit == 4);
  CHECK(result.err == expected.err);
  CHECK(fs::is_empty(scratch.path() / "out"));
}

TEST_CASE("A rerun that dies says so in its row, and the exit is 1", "[cli]") {
  const TemporaryFolder scratch;
  const std::string out = scratch.path("r");
  RunningProgram moesim =
      start_command({"run", kScenarios + "deepseek_v3_decode_ep32.yaml", "--set", "workload.steps=200", "--audit", "0",
                     "--remedies", "1", "--out", out, "--quiet"});
  const pid_t base = moesim.next_child();
  REQUIRE(base > 0);
  const pid_t rerun = moesim.next_child({base});
  REQUIRE(rerun > 0);
  CHECK(::kill(rerun, SIGKILL) == 0);
  CHECK(moesim.wait().exit == 1);
  const auto summary = nlohmann::json::parse(std::ifstream{fs::path{out} / "summary.json"});
  CHECK(summary["hotspots"][0]["gain_note"] == "the rerun failed: died of signal 9");
  CHECK(summary["hotspots"][0]["gain_ms"].is_null());
}

TEST_CASE("An interrupted run with reruns ends by the signal and leaves nothing", "[cli]") {
  const TemporaryFolder scratch;
  RunningProgram moesim = start_command({"run", kScenarios + "deepseek_v3_decode_ep32.yaml", "--set",
                                         "workload.steps=100000", "--remedies", "1", "--quiet"},
                                        {.folder = scratch.path().string()});
  const pid_t base = moesim.next_child();
  REQUIRE(base > 0);
  std::this_thread::sleep_for(std::chrono::milliseconds{300});
  moesim.send(SIGINT);
  CHECK(moesim.wait().exit == 128 + SIGINT);
  CHECK(::kill(base, 0) == -1);
  CHECK(fs::is_empty(scratch.path() / "out"));
}

TEST_CASE("A bad number of remedies is refused in one line", "[cli]") {
  const TemporaryFolder scratch;
  for (const std::string bad : {"-1", "x", "1000", "1.5", ""}) {
    INFO(bad);
    const CommandResult result = run(scratch, {kScenarios + "quickstart.yaml", "--remedies", bad});
    CHECK(result.exit == 2);
    CHECK(result.out.empty());
    CHECK(result.err == "moesim: run: --remedies: got '" + bad +
                            "', expected a whole number from 0 to 10 (see `moesim run --help`)\n");
  }
  CHECK(!fs::exists(scratch.path() / "out"));
}
