// `moesim run --trace` as a user meets it.

#include <filesystem>
#include <fstream>

#include <nlohmann/json.hpp>

#include "models/units/resources.hpp"
#include "tests/catch_compat.hpp"
#include "tests/cli/run_command.hpp"
#include "tests/temporary_folder.hpp"

using namespace moesim::testing;
using Catch::Matchers::Contains;
namespace fs = std::filesystem;

namespace {

constexpr auto kSmall =
    "model: mixtral-8x7b\ncluster: {gpu: h100-sxm}\nlayout: {attention: {dp: 8}, experts: {ep: 8}}\n"
    "workload: {phase: decode, tokens_per_gpu: 16, context: 1024, steps: 5}\n";

/// A folder with a scenario, in which `moesim run` starts.
struct Scratch {
  CommandResult run(std::vector<std::string> more) const {
    more.insert(more.begin(), {"run", "s.yaml", "--audit", "0"});
    return run_command(more, {.folder = folder.path().string()});
  }

  TemporaryFolder folder;
  std::string scenario = folder.write("s.yaml", kSmall);
};

}  // namespace

TEST_CASE("A trace goes where the user says beside the results", "[cli]") {
  const Scratch scratch;
  const CommandResult result = scratch.run({"--out", "r", "--trace", "r/t.json", "--trace-ranks", "0,6-7"});
  INFO(result.err);
  REQUIRE(result.exit == 0);
  CHECK_THAT(result.out, Contains("  report r/report.html\n  trace r/t.json: "));
  CHECK_THAT(result.out, Contains(" of simulated time; open it in https://ui.perfetto.dev\n"));
  const auto trace = nlohmann::json::parse(read(scratch.folder.path("r/t.json")));
  CHECK(trace["otherData"]["ranks"] == nlohmann::json({0, 6, 7}));
  CHECK(trace["otherData"]["scenario"] == "s");
  CHECK(trace["otherData"]["events"] == static_cast<int>(trace["traceEvents"].size()) - 2 * (2 + 1 + 6));
}

TEST_CASE("The same scenario gives the same trace whether compressed or not and the same results", "[cli]") {
  const Scratch scratch;
  for (const char* name : {"a", "b"})
    REQUIRE(scratch.run({"--out", name, "--trace", std::string{name} + ".json.gz"}).exit == 0);
  REQUIRE(scratch.run({"--out", "c", "--trace", "c.json"}).exit == 0);
  REQUIRE(scratch.run({"--out", "d"}).exit == 0);
  CHECK(read(scratch.folder.path("a.json.gz")) == read(scratch.folder.path("b.json.gz")));
  std::string unpacked;
  for (const std::string& line : moesim::read_lines(scratch.folder.path("a.json.gz"))) unpacked += line + "\n";
  CHECK(unpacked == read(scratch.folder.path("c.json")));
  CHECK(read(scratch.folder.path("a/summary.json")) == read(scratch.folder.path("d/summary.json")));
  CHECK(fs::file_size(scratch.folder.path("a.json.gz")) < fs::file_size(scratch.folder.path("c.json")) / 4);
}

TEST_CASE("A trace beyond its limit says so and --json keeps stdout to the document", "[cli]") {
  const Scratch scratch;
  const std::vector<std::string> capped{
      "--set", "workload.steps=90", "--trace", "t.json.gz", "--trace-window", "0us:1h", "--json", "--out"};
  auto loud = capped, quiet = capped;
  loud.push_back("a");
  quiet.insert(quiet.end(), {"b", "--quiet", "--force"});
  const CommandResult result = scratch.run(loud);
  REQUIRE(result.exit == 0);
  CHECK(nlohmann::json::parse(result.out).is_object());
  CHECK_THAT(result.err, Contains("trace t.json.gz: 200,000 events, 0 ns to "));
  CHECK_THAT(result.err, Contains("  note: the trace stops at ") &&
                             Contains(" more events are beyond its limit of 200,000; ask for a shorter --trace-window "
                                      "or fewer --trace-ranks\n"));
  CHECK(scratch.run(quiet).err.empty());
}

TEST_CASE("What is wrong with a trace is refused before the run with the option's name", "[cli]") {
  const Scratch scratch;
  scratch.folder.write("old.json", "precious");
  fs::create_directory(scratch.folder.path("folder.json"));
  struct Case {
    std::vector<std::string> options;
    std::string message;
  };
  const std::string window = "begin and end with their units, as 10ms:20ms";
  const std::string ranks = "ranks as 0-7 or 0,8,16-23";
  const auto [options, message] = GENERATE_COPY(values<Case>({
      {{"--trace", "t.pftrace"},
       "--trace: got 't.pftrace', expected a name that ends in .json, or in .gz for a compressed file"},
      {{"--trace", "no/t.json"},
       "--trace: got 'no/t.json', whose folder is not there, expected a file in an existing folder"},
      {{"--trace", "old.json"}, "--trace: got 'old.json', which exists, expected a new file, or --force to replace it"},
      {{"--trace", "folder.json"}, "--trace: got 'folder.json', which is a folder, expected a new or a regular file"},
      {{"--trace-window", "0ms:1ms"}, "--trace-window: got '0ms:1ms' without --trace, expected --trace FILE beside it"},
      {{"--trace-ranks", "0"}, "--trace-ranks: got '0' without --trace, expected --trace FILE beside it"},
      {{"--trace", "t.json", "--trace-window", "10ms"}, "--trace-window: got '10ms', expected " + window},
      {{"--trace", "t.json", "--trace-window", "1ms:2ms:3ms"}, "--trace-window: got '1ms:2ms:3ms', expected " + window},
      {{"--trace", "t.json", "--trace-window", "20ms:10ms"},
       "--trace-window: got '20ms:10ms', expected an end after the begin, as 10ms:20ms"},
      {{"--trace", "t.json", "--trace-window", "5ms:5ms"},
       "--trace-window: got '5ms:5ms', expected an end after the begin, as 10ms:20ms"},
      {{"--trace", "t.json", "--trace-window", "10:20ms"},
       "--trace-window: got the bare number 10, expected a unit, as '10 ms'"},
      {{"--trace", "t.json", "--trace-window", ":20ms"},
       "--trace-window: got '', expected a number with its unit, as '50 ms'"},
      {{"--trace", "t.json", "--trace-ranks", "7-0"}, "--trace-ranks: got '7-0', expected " + ranks},
      {{"--trace", "t.json", "--trace-ranks", "0,"}, "--trace-ranks: got '0,', expected " + ranks},
      {{"--trace", "t.json", "--trace-ranks", "0-1-2"}, "--trace-ranks: got '0-1-2', expected " + ranks},
      {{"--trace", "t.json", "--trace-ranks", "all"}, "--trace-ranks: got 'all', expected " + ranks},
      {{"--trace", "t.json", "--trace-ranks", "0-99999999999"},
       "--trace-ranks: got '0-99999999999', expected " + ranks},
      {{"--trace", "t.json", "--trace-ranks", "4-8"},
       "--trace-ranks: got rank 8, expected ranks from 0 to 7, the GPUs of the layout"},
  }));
  const CommandResult result = scratch.run(options);
  CHECK(result.exit == 2);
  CHECK(result.err == "moesim: " + message + "\n");
  CHECK(result.out.empty());
  CHECK(!fs::exists(scratch.folder.path("t.json")));
  CHECK(read(scratch.folder.path("old.json")) == "precious");
  CHECK((!fs::exists(scratch.folder.path("out")) || fs::is_empty(scratch.folder.path("out"))));
}

TEST_CASE("A window after the end of the run is refused and nothing is written", "[cli]") {
  const Scratch scratch;
  const CommandResult result = scratch.run({"--trace", "t.json", "--trace-window", "10s:20s"});
  CHECK(result.exit == 2);
  CHECK_THAT(result.err,
             Contains("moesim: --trace-window: got a begin at 10 s, expected one before the run ends at ") &&
                 Contains(" ms (more workload.steps make it longer)\n"));
  CHECK(!fs::exists(scratch.folder.path("t.json")));
  CHECK(fs::is_empty(scratch.folder.path("out")));
}

TEST_CASE("A trace is replaced with --force", "[cli]") {
  const Scratch scratch;
  scratch.folder.write("old.json", "stale");
  REQUIRE(scratch.run({"--trace", "old.json", "--force"}).exit == 0);
  CHECK(nlohmann::json::parse(read(scratch.folder.path("old.json"))).contains("traceEvents"));
}
