// `moesim run` as a user meets it: results, refusals, exit codes.

#include <algorithm>
#include <filesystem>
#include <fstream>

#include <nlohmann/json.hpp>
#include <unistd.h>

#include "tests/catch_compat.hpp"
#include "tests/cli/json_schema.hpp"
#include "tests/cli/run_command.hpp"
#include "tests/cli/small_scenario.hpp"
#include "tests/temporary_folder.hpp"

using namespace moesim::testing;
using Catch::Matchers::Contains;
namespace fs = std::filesystem;

namespace {

std::vector<std::string> shipped_scenarios() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator{kScenarios})
    if (entry.path().extension() == ".yaml") names.push_back(entry.path().stem().string());
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

TEST_CASE("The first lines warn of a common start that the audit finds late", "[cli]") {
  const TemporaryFolder scratch;
  std::ofstream{scratch.path() / "slow.yaml"}
      << "model: mixtral-8x7b\ncluster: {gpu: h100-sxm, links: [{name: n0g3 <-> n0 nvswitch, factor: 0.3}]}\n"
         "layout: {attention: {dp: 8}, experts: {ep: 8}}\nplacement: {policy: linear}\n"
         "routing: {kind: zipf, exponent: 1.0}\n"
         "workload: {phase: prefill, tokens_per_gpu: 4096, context: 4096, steps: 2}\n";
  const auto run = [&](const char* out, const std::vector<std::string>& more) {
    std::vector<std::string> arguments{"run", scratch.path("slow.yaml"), "--audit", "2", "--out", scratch.path(out)};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_command(arguments);
  };
  const CommandResult slow = run("a", {}), even = run("b", {"--set", "routing.kind=balanced"});
  CHECK_THAT(slow.out, Contains("warning: 2 of 2 audited combines end 0.9 % sooner"));
  CHECK_THAT(even.out, !Contains("warning"));
  const auto summary = nlohmann::json::parse(read(scratch.path() / "a/summary.json"));
  CHECK(schema_violations(summary, "summary") == "");
  CHECK(summary["audit"]["escalated"] == 2);
  CHECK_THAT(summary["notes"].dump(), Contains("2 of 2 combines have starts whose bracket is wider than 0.5 %"));
}

TEST_CASE("One audited layer is one draw, and several have an interval", "[cli]") {
  const TemporaryFolder scratch;
  const std::string scenario =
      scratch.write("s.yaml",
                    "model: mixtral-8x7b\ncluster: {gpu: h100-sxm, slow_gpus: [{name: n0g3, factor: 0.5}]}\n"
                    "routing: {kind: zipf, exponent: 0.3, sampler: aggregate}\n"
                    "workload: {phase: prefill, tokens_per_gpu: 512, context: 512, steps: 20}\n");
  int warned = 0;
  for (int seed = 1; seed <= 4; ++seed) {
    const auto run = [&](const std::string& audit) {
      const CommandResult result =
          run_command({"run", scenario, "--set", "seed=" + std::to_string(seed), "--audit", audit},
                      {.folder = scratch.path().string()});
      REQUIRE(result.exit == 0);
      return result.out;
    };
    warned += run("1").find(
                  "in an independent draw; one layer is one draw, so this may be chance: --audit 8 gives an "
                  "interval\n") != std::string::npos;
    CHECK(run("3").find("may be chance") == std::string::npos);
  }
  CHECK(warned > 0);
  const auto last = nlohmann::json::parse(read(scratch.path() / "out/0007-s/summary.json"));
  CHECK_THAT(last["notes"].dump(), Contains("audit: one layer was looked at, so its errors are one draw"));
}

TEST_CASE("A dense model has no imbalance of experts", "[cli]") {
  const TemporaryFolder scratch;
  const std::string dense = scratch.write(
      "s.yaml",
      "model: llama-3.1-8b\ncluster: {gpu: h100-sxm}\nworkload: {tokens_per_gpu: 4, context: 128, steps: 2}\n");
  const CommandResult result = run_command({"run", dense, "--out", scratch.path("r"), "--json"});
  REQUIRE(result.exit == 0);
  const auto summary = nlohmann::json::parse(result.out);
  CHECK(schema_violations(summary, "summary") == "");
  for (const char* key : {"expert", "gpu"}) CHECK(summary["imbalance"][key]["mean"].is_null());
  CHECK_THAT(summary["notes"].dump(), Contains("imbalance.expert and imbalance.gpu are null: a dense model"));
  CHECK(run_command({"report", scratch.path("r")}).exit == 0);
  const CommandResult compared = run_command({"compare", dense, dense, "--out", scratch.path("c"), "--json"});
  REQUIRE(compared.exit == 0);
  CHECK(schema_violations(nlohmann::json::parse(compared.out), "compare") == "");
}

TEST_CASE("Every shipped scenario runs, and its summary obeys the schema and its invariants", "[cli]") {
  const std::string name = GENERATE(from_range(shipped_scenarios()));
  INFO(name);
  const TemporaryFolder scratch;
  const CommandResult result = run_command(
      {"run", kScenarios + name + ".yaml", "--set", "workload.steps=2", "--out", scratch.path("r"), "--json"});
  INFO(result.err);
  REQUIRE(result.exit == 0);
  const auto summary = nlohmann::json::parse(result.out);
  CHECK(schema_violations(summary, "summary") == "");
  CHECK(result.out == read(scratch.path() / "r/summary.json"));
  CHECK(summary["invariants"]["tokens_conserved"] == true);
  CHECK(summary["invariants"]["bytes_conserved"] == true);
  CHECK(summary["provenance"]["kernel_source"] == (name == "quickstart" ? "published" : "roofline"));
  double shares = 0;
  for (const auto& share : summary["critical_path"]) shares += share.get<double>();
  CHECK(shares == Approx(1).epsilon(1e-9));
  CHECK(summary["throughput"]["total_tokens_per_s"] > 0);

  // Golden values: a change of these is a change of every user's answer and must be meant.
  const auto golden = nlohmann::json::parse(read(std::string{MOESIM_TEST_SOURCE_DIR} + "/tests/golden/scenarios.json"));
  REQUIRE(golden.contains(name));
  for (const auto& [path, value] : golden[name].items()) {
    INFO(path);
    std::string pointer = "/" + path;
    std::replace(pointer.begin(), pointer.end(), '.', '/');
    CHECK(summary.at(nlohmann::json::json_pointer{pointer}).get<double>() == Approx(value.get<double>()).epsilon(1e-6));
  }
}

TEST_CASE("The same scenario twice gives identical files but run.json", "[cli]") {
  const TemporaryFolder scratch;
  for (const char* folder : {"a", "b"})
    REQUIRE(run_command({"run", kScenarios + "quickstart.yaml", "--out", scratch.path(folder)}).exit == 0);
  int files = 0;
  for (const auto& entry : fs::directory_iterator{scratch.path() / "a"}) {
    const fs::path name = entry.path().filename();
    ++files;
    INFO(name.string());
    if (name != "run.json") CHECK(read(entry.path()) == read(scratch.path() / "b" / name));
  }
  CHECK(files == 10);
}

TEST_CASE("The resolved scenario of a run gives the same answer", "[cli]") {
  const TemporaryFolder scratch;
  const std::string scenario = scratch.write("s.yaml", kSmall);
  REQUIRE(run_command({"run", scenario, "--out", scratch.path("a")}).exit == 0);
  fs::copy_file(scratch.path() / "a/scenario.resolved.yaml", scratch.path() / "resolved/s.yaml",
                (fs::create_directory(scratch.path() / "resolved"), fs::copy_options::none));
  REQUIRE(run_command({"run", scratch.path("resolved/s.yaml"), "--out", scratch.path("b")}).exit == 0);
  CHECK(read(scratch.path() / "a/summary.json") == read(scratch.path() / "b/summary.json"));
}

TEST_CASE("A model that does not fit exits 4, names the line and gives three remedies", "[cli]") {
  const TemporaryFolder scratch;
  const CommandResult result = run_command(
      {"run", kScenarios + "quickstart.yaml", "--set", "workload.tokens_per_gpu=4000", "--out", scratch.path("r")});
  CHECK(result.exit == 4);
  CHECK_THAT(result.err,
             Contains(" of 72 GiB usable (80 GiB x memory_fraction 0.9), most of it 'KV cache' with 1008 GiB\n"));
  std::size_t remedies = 0;
  for (std::size_t at = result.err.find("remedy:"); at != std::string::npos; at = result.err.find("remedy:", at + 1))
    ++remedies;
  CHECK(remedies == 3);
  CHECK(!fs::exists(scratch.path() / "r"));
}

TEST_CASE("A limit that a batch run cannot be held to is named, not passed over", "[cli]") {
  const TemporaryFolder scratch;
  const std::string scenario = scratch.write("s.yaml", kSmall + "slo: {ttft: 200 ms, tpot: 50 ms}\n");
  const CommandResult result = run_command({"run", scenario, "--out", scratch.path("r")});
  CHECK(result.exit == 0);
  CHECK_THAT(result.out, Contains("  ttft p99 <= 200 ms   not judged: this batch run does not express ttft\n"));
  CHECK_THAT(result.out, Contains("  tpot p99 ") && Contains(" <= 50 ms   ok\n"));
}

TEST_CASE("A named folder that is in use is refused without --force", "[cli]") {
  const TemporaryFolder scratch;
  const std::string scenario = scratch.write("s.yaml", kSmall);
  fs::create_directory(scratch.path() / "r");
  scratch.write("r/mine.txt", "precious");
  const CommandResult refused = run_command({"run", scenario, "--out", scratch.path("r")});
  CHECK(refused.exit == 2);
  CHECK_THAT(refused.err, Contains("which is not empty"));
  CHECK(run_command({"run", scenario, "--out", scratch.path("r"), "--force"}).exit == 0);
  CHECK(read(scratch.path() / "r/mine.txt") == "precious");
}

TEST_CASE("Without --out every run gets a numbered folder of its own", "[cli]") {
  const TemporaryFolder scratch;
  const std::string scenario = scratch.write("s.yaml", kSmall);
  for (int i = 0; i < 2; ++i) REQUIRE(run_command({"run", scenario}, {.folder = scratch.path().string()}).exit == 0);
  CHECK(fs::exists(scratch.path() / "out/0001-s/summary.json"));
  CHECK(fs::exists(scratch.path() / "out/0002-s/summary.json"));
}

TEST_CASE("A refused scenario leaves no folder behind", "[cli]") {
  const TemporaryFolder scratch;
  const std::string scenario = scratch.write("s.yaml", kSmall + "layout: {attention: {tp: 3, dp: 1}}\n");
  const CommandResult result = run_command({"run", scenario}, {.folder = scratch.path().string()});
  CHECK(result.exit == 2);
  CHECK(!result.err.empty());
  CHECK((!fs::exists(scratch.path() / "out") || fs::is_empty(scratch.path() / "out")));
}

TEST_CASE("Wrong scenarios are refused with the place, exit 2, and one line", "[cli]") {
  const TemporaryFolder scratch;
  struct Case {
    std::string text, message;
  };
  const auto [text, message] = GENERATE_COPY(values<Case>({
      {"modle: mixtral-8x7b\n", "did you mean model"},
      {kSmall + "model: mixtral-8x7b\n", "4:1"},
      {kSmall + "slo: {tpot: 50}\n", "a unit: write 50 ms"},
      {kSmall + "layout: {pp: 4}\noverlap: {two_batch: true}\n", "not modelled yet"},
      {kSmall + "layout: {attention: {tp: 8}}\noverlap: {two_batch: true}\n", "not modelled yet"},
      {kSmall + "layout: {attention: {tp: 1, dp: 64}, experts: {ep: 64, tp: 1}}\n", "the cluster has 8 GPUs"},
      {kSmall + "communication: {copies: per_rank}\nlayout: {attention: {tp: 8, dp: 1}, experts: {tp: 8, ep: 1}}\n",
       "has no dispatch"},
  }));
  INFO(text);
  const CommandResult result = run_command({"run", scratch.write("s.yaml", text), "--out", scratch.path("r")});
  CHECK(result.exit == 2);
  CHECK(result.out.empty());
  CHECK_THAT(result.err, Contains(message));
}

TEST_CASE("A disk that takes nothing is exit 1 and leaves nothing", "[cli]") {
  if (::geteuid() == 0 && !fs::exists("/proc/self")) return;
  const TemporaryFolder scratch;
  const std::string scenario = scratch.write("s.yaml", kSmall);
  const CommandResult result = run_command({"run", scenario, "--out", "/proc/moesim-results"});
  CHECK(result.exit == 1);
  CHECK_THAT(result.err, Contains("/proc/moesim-results"));
}

TEST_CASE("More GPUs, a faster link or fewer tokens never slow a balanced step", "[cli]") {
  // Monotony through the whole program (oracle L37), routing balanced so that no draw differs.
  const TemporaryFolder scratch;
  const std::string scenario = scratch.write(
      "s.yaml",
      "model: mixtral-8x7b\ncluster: {gpu: h100-sxm, nodes: 2, fabric: {nic: 400 Gb/s}}\nrouting: {kind: balanced}\n"
      "layout: {attention: {dp: 16}, experts: {ep: 16}}\nplacement: {policy: eplb, redundant: 8}\n"
      "workload: {phase: decode, tokens_per_gpu: 64, context: 1024, steps: 2}\n");
  const auto step = [&](const std::string& name, const std::string& set) {
    const CommandResult result = run_command({"run", scenario, "--set", set, "--out", scratch.path(name), "--json"});
    INFO(result.err);
    REQUIRE(result.exit == 0);
    return nlohmann::json::parse(result.out)["step"]["mean_ms"].get<double>();
  };
  const double base = step("base", "seed=1");
  CHECK(step("slow", "cluster.fabric.nic=100 Gb/s") > base);
  CHECK(step("fast", "cluster.fabric.nic=800 Gb/s") <= base);
  CHECK(step("less", "workload.tokens_per_gpu=32") < base);
}

TEST_CASE("An engine is said to have no effect on the roofline, so that profiles can be varied alone", "[cli]") {
  const TemporaryFolder scratch;
  const CommandResult result = run_command({"run", kScenarios + "quickstart.yaml", "--set", "kernels.profile=roofline",
                                            "--set", "workload.steps=1", "--out", scratch.path("r"), "--json"});
  REQUIRE(result.exit == 0);
  const auto summary = nlohmann::json::parse(result.out);
  CHECK(summary["provenance"]["kernel_source"] == "roofline");
  const auto& notes = summary["notes"];
  CHECK(std::find(notes.begin(), notes.end(), "kernels.engine trtllm has no effect: the roofline knows no engines") !=
        notes.end());
}
