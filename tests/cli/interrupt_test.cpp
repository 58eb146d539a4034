// Ctrl-C: what is kept, what is said, how the process ends.

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <thread>

#include <nlohmann/json.hpp>
#include <signal.h>  // NOLINT(modernize-deprecated-headers): kill is POSIX

#include "tests/catch_compat.hpp"
#include "tests/cli/json_schema.hpp"
#include "tests/cli/run_command.hpp"
#include "tests/cli/small_scenario.hpp"
#include "tests/temporary_folder.hpp"

using namespace moesim::testing;
using Catch::Matchers::Contains;
namespace fs = std::filesystem;

namespace {

void wait(double seconds) {
  std::this_thread::sleep_for(std::chrono::duration<double>{seconds});
}

}  // namespace

TEST_CASE("An interrupted run says what it keeps, ends by the signal and leaves no half-written folder", "[cli]") {
  const TemporaryFolder scratch;
  const std::string scenario = scratch.write("s.yaml", kSmall + "seed: 1\n");
  double start = 0;  // seconds until a folder shows that signals are watched: the second run has its folder before
  const auto interrupted = [&](const std::vector<std::string>& options) {
    std::vector<std::string> arguments{"run", scenario, "--set", "workload.steps=1000000", "--audit", "0"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    const auto began = std::chrono::steady_clock::now();
    RunningProgram run = start_command(arguments, {.folder = scratch.path().string()});
    REQUIRE(soon([&] { return fs::exists(scratch.path() / "out") || fs::exists(scratch.path() / "r"); }));
    start = std::max(start, std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count());
    wait(0.3 + 2 * start);
    run.send(SIGINT);
    return run.wait();
  };
  const CommandResult fresh = interrupted({});
  CHECK(fresh.exit == 128 + SIGINT);
  CHECK(fresh.out.empty());
  CHECK(fresh.err == "moesim: interrupted: no results were written\n");
  CHECK(fs::is_empty(scratch.path() / "out"));
  fs::create_directory(scratch.path() / "r");
  scratch.write("r/summary.json", "an older one");
  const CommandResult forced = interrupted({"--out", "r", "--force"});
  CHECK(forced.exit == 128 + SIGINT);
  CHECK(forced.err == "moesim: interrupted: no results were written\n");
  CHECK(read(scratch.path() / "r/summary.json") == "an older one");
}

TEST_CASE("An interrupted comparison stops its workers and leaves only whole results", "[cli]") {
  const TemporaryFolder scratch;
  const std::string out = scratch.path("r");
  RunningProgram compare =
      start_command({"compare", kScenarios + "deepseek_v3_decode_ep32.yaml", "--vary", "seed=1,2,3,4", "--set",
                     "workload.steps=100000", "--jobs", "2", "--out", out, "--quiet"});
  REQUIRE(soon([&] { return fs::exists(out + "/compare.json"); }));
  wait(2);  // by then two workers simulate for minutes
  compare.send(SIGINT);
  CHECK(compare.wait().exit == 128 + SIGINT);
  CHECK(!fs::exists(out));
}

TEST_CASE("An interrupted comparison is reported with what it finished", "[cli]") {
  const TemporaryFolder scratch;
  scratch.write("s.yaml", kSmall);
  RunningProgram compare =
      start_command({"compare", "s.yaml", "--vary", "workload.steps=2,1000000", "--jobs", "1", "--out", "r"},
                    {.folder = scratch.path().string()});
  REQUIRE(soon([&] { return fs::exists(scratch.path() / "r/01-s/summary.json"); }));
  wait(0.2);
  compare.send(SIGINT);
  const CommandResult result = compare.wait();
  CHECK(result.exit == 128 + SIGINT);
  CHECK(result.err == "moesim: interrupted: 1 of 2 runs are in r; moesim report r shows them\n");
  CHECK(!fs::exists(scratch.path() / "r/02-s"));
  const auto comparison = nlohmann::json::parse(read(scratch.path() / "r/compare.json"));
  CHECK(schema_violations(comparison, "compare") == "");
  CHECK(comparison["runs"][0]["status"] == "unfinished");
  CHECK(comparison["command"] == "moesim compare s.yaml --vary workload.steps=2,1000000");
  REQUIRE(run_command({"report", "r"}, {.folder = scratch.path().string()}).exit == 0);
  const std::string page = read(scratch.path() / "r/report.html");
  CHECK_THAT(page, Contains("\"Done\",\"value\":\"1 of 2 runs\""));
  CHECK_THAT(page, Contains("unfinished: the comparison was interrupted before, or still runs"));
}

TEST_CASE("The flows of an interrupted audit end with their run", "[cli]") {
  const TemporaryFolder scratch;
  // 144 ranks: every audited collective is minutes of flows in a process of its own
  RunningProgram run = start_command(
      {"run", kScenarios + "deepseek_v3_decode_ep144.yaml", "--set", "workload.steps=1", "--audit", "8", "--quiet"},
      {.folder = scratch.path().string()});
  const pid_t flows = run.next_child();
  REQUIRE(flows > 0);
  CHECK(runs(flows));
  run.send(SIGINT);
  CHECK(run.wait().exit == 128 + SIGINT);
  CHECK(soon([&] { return !runs(flows); }));
}
