// Ctrl-C: what is kept, what is said, how the process ends.

#include <chrono>
#include <filesystem>
#include <thread>

#include <nlohmann/json.hpp>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/catch_compat.hpp"
#include "tests/cli/json_schema.hpp"
#include "tests/cli/run_command.hpp"
#include "tests/temporary_folder.hpp"

using namespace moesim::testing;
using Catch::Matchers::Contains;
namespace fs = std::filesystem;

namespace {

const std::string kScenarios = std::string{MOESIM_TEST_SOURCE_DIR} + "/scenarios/";

constexpr auto kSmall =
    "model: mixtral-8x7b\ncluster: {gpu: h100-sxm}\nworkload: {phase: decode, tokens_per_gpu: 16, "
    "context: 1024, steps: 2}\n";

}  // namespace

TEST_CASE("An interrupted run says what it keeps, ends by the signal and leaves no half-written folder", "[cli]") {
  const TemporaryFolder scratch;
  const std::string scenario = scratch.write("s.yaml", std::string{kSmall} + "seed: 1\n");
  // A shell has its jobs in the background ignore SIGINT.
  const auto interrupted = [&](const std::string& options) {
    return run_program("sh",
                       {"-c", std::string{"env --default-signal=INT '"} + MOESIM_BINARY + "' run '" + scenario +
                                  "' --set workload.steps=1000000 --audit 0 " + options +
                                  " & pid=$!; while [ ! -e out ] && [ ! -e r ]; do sleep 0.02; done; sleep 0.3; "
                                  "kill -INT $pid; wait $pid"},
                       {.folder = scratch.path().string()});
  };
  const CommandResult fresh = interrupted("");
  CHECK(fresh.exit == 128 + 2);
  CHECK(fresh.out.empty());
  CHECK(fresh.err == "moesim: interrupted: no results were written\n");
  CHECK(fs::is_empty(scratch.path() / "out"));
  fs::create_directory(scratch.path() / "r");
  scratch.write("r/summary.json", "an older one");
  const CommandResult forced = interrupted("--out r --force");
  CHECK(forced.exit == 128 + 2);
  CHECK(forced.err == "moesim: interrupted: no results were written\n");
  CHECK(read(scratch.path() / "r/summary.json") == "an older one");
}

TEST_CASE("An interrupted comparison stops its workers and leaves only whole results", "[cli]") {
  const TemporaryFolder scratch;
  const std::string out = scratch.path("r");
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGINT, SIG_DFL);
    ::execl(MOESIM_BINARY, "moesim", "compare", (kScenarios + "deepseek_v3_decode_ep32.yaml").c_str(), "--vary",
            "seed=1,2,3,4", "--set", "workload.steps=100000", "--jobs", "2", "--out", out.c_str(), "--quiet", nullptr);
    ::_exit(99);
  }
  std::this_thread::sleep_for(std::chrono::seconds{2});  // by then two workers simulate for minutes
  REQUIRE(::kill(child, SIGINT) == 0);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGINT);
  CHECK(!fs::exists(out));
}

TEST_CASE("An interrupted comparison is reported with what it finished", "[cli]") {
  const TemporaryFolder scratch;
  scratch.write("s.yaml", kSmall);
  const CommandResult result =
      run_program("sh",
                  {"-c", std::string{"env --default-signal=INT '"} + MOESIM_BINARY +
                             "' compare s.yaml --vary workload.steps=2,1000000 --jobs 1 --out r & pid=$!; while [ ! -e "
                             "r/01-s/summary.json ]; do sleep 0.02; done; sleep 0.2; kill -INT $pid; wait $pid"},
                  {.folder = scratch.path().string()});
  CHECK(result.exit == 128 + 2);
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
