// `moesim compare`: one table of many runs, and what it refuses.

#include <algorithm>
#include <filesystem>
#include <sstream>

#include <nlohmann/json.hpp>

#include "tests/catch_compat.hpp"
#include "tests/cli/json_schema.hpp"
#include "tests/cli/run_command.hpp"
#include "tests/cli/small_scenario.hpp"
#include "tests/temporary_folder.hpp"

using namespace moesim::testing;
using Catch::Matchers::Contains;
namespace fs = std::filesystem;

namespace {

CommandResult compare(const TemporaryFolder& scratch, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "compare");
  return run_command(arguments, {.folder = scratch.path().string()});
}

nlohmann::json runs_of(const CommandResult& result) {
  INFO(result.err);
  const auto document = nlohmann::json::parse(result.out);
  CHECK(schema_violations(document, "compare") == "");
  return document["runs"];
}

}  // namespace

TEST_CASE("A small comparison prints exactly its golden table", "[cli]") {
  const TemporaryFolder scratch;
  scratch.write("s.yaml", kSmall + "routing: {kind: balanced}\nslo: {tpot: 5 ms, ttft: 1 s}\n");
  const CommandResult result = compare(scratch, {"s.yaml", "--vary", "layout.experts.ep=8,7,4"});
  CHECK(result.exit == 0);
  CHECK(
      result.out ==
      "3 decode runs, best 01-s with 1,916 output tok/s per GPU\n"
      "the same in all: s · mixtral-8x7b · h100-sxm · 8 = 1 node x 8 · kernels roofline: estimates, no measured "
      "profile\n\n"
      "  run  experts.ep  layout                                                     "
      "     memory      step  out tok/s/GPU  /first  /best  GPU load  bound by      SLO\n"
      "  01            8  attention tp1 x dp8, experts ep8 x tp1 on 8 ranks  19.6 of "
      "72.0 GiB ok   8.35 ms          1,916    1.00   1.00      1.00  experts 55 %  tpot missed ttft not judged\n"
      "  02            7  -                                                          "
      "          -   invalid              -       -      -         -  -             -\n"
      "  03            4  attention tp1 x dp8, experts ep4 x tp2 on 8 ranks  19.6 of "
      "72.0 GiB ok  8.834 ms          1,811    0.95   0.95      1.00  experts 52 %  tpot missed ttft not judged\n"
      "  02-s invalid: --vary layout.experts.ep=7: got 7, expected a divisor of the 8 ranks, since the other degree is "
      "not given; did you mean 4 or 8?\n"
      "  report out/0001-compare/report.html\n");
}

TEST_CASE("A run that does not fit stays in the table with its reason and remedies", "[cli]") {
  const TemporaryFolder scratch;
  scratch.write("s.yaml", kSmall + "routing: {kind: balanced}\n");
  const CommandResult result =
      compare(scratch, {"s.yaml", "--vary", "layout.experts.ep=8,7", "--vary", "workload.tokens_per_gpu=16,8000"});
  CHECK(result.exit == 0);
  CHECK_THAT(result.out, Contains("4 decode runs, best 01-s with "));
  CHECK_THAT(result.out, Contains("\nthe same in all: s · mixtral-8x7b · h100-sxm · 8 = 1 node x 8 · attention tp1 x "
                                  "dp8, experts ep8 x tp1 on 8 ranks · kernels roofline: estimates, no measured "
                                  "profile\n"));
  CHECK_THAT(result.out, Contains("\n  run  experts.ep  workload.tokens_per_gpu "));
  CHECK_THAT(result.out, Contains("  out tok/s/GPU  /first  /best  GPU load  bound by "));
  CHECK_THAT(result.out,
             Contains("\n  02            8                     8000  ") && Contains(" GiB no  infeasible "));
  CHECK_THAT(result.out, Contains("\n  02-s infeasible: mixtral-8x7b does not fit: ") && Contains("\n    remedy: "));
  CHECK_THAT(result.out,
             Contains("\n  03-s invalid: --vary layout.experts.ep=7: got 7, expected a divisor of the 8 ranks, since "
                      "the other degree is not given; did you mean 4 or 8?\n"));
  CHECK_THAT(result.out, Contains("\n  report out/0001-compare/report.html\n"));
  CHECK(fs::exists(scratch.path() / "out/0001-compare/compare.csv"));
  CHECK(fs::exists(scratch.path() / "out/0001-compare/01-s/summary.json"));
  CHECK(!fs::exists(scratch.path() / "out/0001-compare/02-s"));
}

TEST_CASE("A run of a comparison is the run alone, and ratios are those of throughput per GPU", "[cli]") {
  const TemporaryFolder scratch;
  scratch.write("a.yaml", kSmall);
  scratch.write("b.yaml", kSmall + "layout: {attention: {tp: 8}}\n");
  const CommandResult result = compare(scratch, {"a.yaml", "b.yaml", "a.yaml", "--out", "r", "--json"});
  REQUIRE(result.exit == 0);
  CHECK(result.out == read(scratch.path() / "r/compare.json"));
  const auto runs = runs_of(result);
  REQUIRE(run_command({"run", "a.yaml", "--out", "alone"}, {.folder = scratch.path().string()}).exit == 0);
  const std::string alone = read(scratch.path() / "alone/summary.json");
  CHECK(read(scratch.path() / "r/01-a/summary.json") == alone);
  CHECK(read(scratch.path() / "r/03-a/summary.json") == alone);
  const auto summary = nlohmann::json::parse(alone);
  CHECK(runs[0]["figures"]["tokens_per_s_per_gpu"].get<double>() ==
        Approx(summary["throughput"]["output_tokens_per_s_per_gpu"].get<double>()));
  CHECK(runs[0]["figures"]["ratio_to_first"] == 1.0);
  CHECK(runs[1]["figures"]["ratio_to_first"].get<double>() ==
        Approx(runs[1]["figures"]["tokens_per_s_per_gpu"].get<double>() /
               runs[0]["figures"]["tokens_per_s_per_gpu"].get<double>()));
  double best = 0;
  for (const auto& run : runs) best = std::max(best, run["figures"]["tokens_per_s_per_gpu"].get<double>());
  for (const auto& run : runs)
    CHECK(run["figures"]["ratio_to_best"].get<double>() ==
          Approx(run["figures"]["tokens_per_s_per_gpu"].get<double>() / best));
}

TEST_CASE("The same comparison gives the same bytes on one worker and on three", "[cli]") {
  const TemporaryFolder scratch;
  scratch.write("s.yaml", kSmall);
  const std::vector<std::string> what{"s.yaml", "--vary", "seed=3,1,2", "--quiet"};
  for (const char* jobs : {"1", "3"}) {
    std::vector<std::string> arguments = what;
    for (const std::string& more : {std::string{"--jobs"}, std::string{jobs}, std::string{"--out"}, std::string{jobs}})
      arguments.push_back(more);
    REQUIRE(compare(scratch, arguments).exit == 0);
  }
  CHECK(read(scratch.path() / "1/compare.json") == read(scratch.path() / "3/compare.json"));
  CHECK(read(scratch.path() / "1/compare.csv") == read(scratch.path() / "3/compare.csv"));
}

TEST_CASE("Pairs go together and products multiply, the last key fastest", "[cli]") {
  const TemporaryFolder scratch;
  scratch.write("s.yaml", kSmall);
  const std::vector<std::string> vary{"s.yaml", "--vary", "seed=1,2", "--vary", "workload.tokens_per_gpu=16,8"};
  const auto values = [&](std::vector<std::string> arguments, const std::string& out) {
    arguments.insert(arguments.end(), {"--json", "--out", out});
    std::vector<std::string> pairs;
    for (const auto& run : runs_of(compare(scratch, arguments)))
      pairs.push_back(run["varied"][0]["value"].get<std::string>() + " " +
                      run["varied"][1]["value"].get<std::string>());
    return pairs;
  };
  auto zipped = vary, sorted = vary;
  zipped.push_back("--zip");
  sorted.insert(sorted.end(), {"--sort", "workload.tokens_per_gpu"});
  CHECK(values(vary, "a") == std::vector<std::string>{"1 16", "1 8", "2 16", "2 8"});
  CHECK(values(zipped, "b") == std::vector<std::string>{"1 16", "2 8"});
  CHECK(values(sorted, "c") == std::vector<std::string>{"1 8", "2 8", "1 16", "2 16"});
}

TEST_CASE("A worker that fails says why; the others finish, and the exit is 1", "[cli]") {
  const TemporaryFolder scratch;
  scratch.write("s.yaml", kSmall);
  fs::create_directory(scratch.path() / "r");
  scratch.write("r/02-s", "a file where a folder should be");
  const CommandResult result = compare(scratch, {"s.yaml", "--vary", "seed=1,2,3", "--out", "r", "--force", "--json"});
  CHECK(result.exit == 1);
  const auto runs = runs_of(result);
  CHECK(runs[0]["status"] == "done");
  CHECK(runs[1]["status"] == "failed");
  CHECK_THAT(runs[1]["reason"].get<std::string>(), Contains("cannot create r/02-s: "));
  CHECK(runs[2]["status"] == "done");
  CHECK(fs::exists(scratch.path() / "r/compare.json"));
}

TEST_CASE("A folder that cannot be made is exit 1 before any run", "[cli]") {
  const TemporaryFolder scratch;
  scratch.write("s.yaml", kSmall + "seed: 5\n");
  const CommandResult result = compare(scratch, {"s.yaml", "s.yaml", "--out", "s.yaml/r"});
  CHECK(result.exit == 1);
  CHECK(result.err == "moesim: failed: cannot create s.yaml/r: Not a directory\n");
}

TEST_CASE("What cannot be compared is refused in one line with exit 2 and leaves nothing", "[cli]") {
  struct Case {
    std::vector<std::string> arguments;
    std::string message;
  };
  const auto [arguments, message] = GENERATE(values<Case>({
      {{"s.yaml"}, "compare: got one scenario, expected two or more, or --vary key=value,value"},
      {{"s.yaml", "none.yaml"}, "none.yaml: got no such file, expected a scenario (YAML or JSON)"},
      {{"s.yaml", "p.yaml"},
       "compare: got prefill (p.yaml) beside decode (s.yaml), expected one workload.phase: tokens of a prompt and of "
       "an answer are different units"},
      {{"s.yaml", "--vary", "workload.phase=decode,prefill"},
       "compare: got prefill (s.yaml workload.phase=prefill) beside decode (s.yaml workload.phase=decode), expected "
       "one workload.phase: tokens of a prompt and of an answer are different units"},
      {{"s.yaml", "--vary", "layout.experts.epp=8"},
       "--vary: got the unknown key 'layout.experts.epp', expected a key of the scenario (see `moesim schema`); did "
       "you mean layout.experts.ep?"},
      {{"s.yaml", "--vary", "seed="}, "--vary: got no values of seed, expected key=value,value, as --vary seed=A,B"},
      {{"s.yaml", "--vary", "seed"}, "--vary: got 'seed', expected key=value,value, as --vary layout.experts.ep=8,16"},
      {{"s.yaml", "--vary", "seed=1,,2"}, "--vary: got 'seed=1,,2', expected a value on both sides of every comma"},
      {{"s.yaml", "--vary", "seed=1", "--vary", "seed=2"},
       "--vary: got seed twice, expected all its values in one --vary"},
      {{"s.yaml", "--vary", "seed=1,2", "--set", "seed=3"},
       "--vary: got seed, which --set fixes, expected another key, or no --set of it"},
      {{"s.yaml", "--vary", "seed=1,2,3", "--vary", "workload.steps=1,2", "--zip"},
       "--zip: got 3 values of seed and 2 of workload.steps, expected as many of each"},
      {{"s.yaml", "--vary", "seed=1,2", "--zip"}, "--zip: got 1 --vary, expected two or more to pair"},
      {{"s.yaml", "--vary", "seed=1,2", "--sort", "memry"}, "did you mean memory?"},
      {{"s.yaml", "--vary", "seed=1,2", "--jobs", "0"}, "--jobs: got '0', expected a whole number from 1 to 1024"},
      {{"s.yaml", "--vary", "layout.experts.ep=7,5"},
       "moesim: --vary layout.experts.ep=7: got 7, expected a divisor of the 8 ranks, since the other degree is not "
       "given; did you mean 4 or 8?"},
      {{"s.yaml", "--vary", "seed=1,2", "--set", "layout.experts.ep=7"},
       "moesim: --set layout.experts.ep=7: got 7, expected a divisor"},
      {{"s.yaml", "--vary", "layout.experts.ep=4,8", "--sort", "ep"}, "did you mean layout.experts.ep?"},
      {{"s.yaml", "--vary", "seed=1,2", "--sort", "step_ms"}, "did you mean step?"},
      {{"s.yaml", "--vary", "seed=1,2", "--sort", "GPU load"}, "did you mean gpu_load?"},
  }));
  INFO(message);
  const TemporaryFolder scratch;
  scratch.write("s.yaml", kSmall);
  scratch.write("p.yaml",
                "model: mixtral-8x7b\ncluster: {gpu: h100-sxm}\nworkload: {phase: prefill, tokens_per_gpu: "
                "4096, context: 4096, steps: 2}\n");
  const CommandResult result = compare(scratch, arguments);
  CHECK(result.exit == 2);
  CHECK(result.out.empty());
  CHECK_THAT(result.err, Contains(message));
  CHECK(!fs::exists(scratch.path() / "out"));
}

TEST_CASE("Ten thousand runs are done only when asked for twice", "[cli]") {
  const TemporaryFolder scratch;
  scratch.write("s.yaml", kSmall);
  std::string numbers = "1";
  for (int i = 2; i <= 100; ++i) numbers += "," + std::to_string(i);
  const CommandResult result =
      compare(scratch, {"s.yaml", "--vary", "seed=" + numbers, "--vary", "workload.steps=" + numbers});
  CHECK(result.exit == 2);
  CHECK(result.err == "moesim: compare: got 10,000 runs, expected fewer than 10,000, or --yes\n");
}

TEST_CASE("The CSV of a comparison has one line a run, quoted where it must be", "[cli]") {
  const TemporaryFolder scratch;
  scratch.write("a, b.yaml", kSmall);
  const CommandResult result = compare(scratch, {"a, b.yaml", "--vary", "seed=1,2", "--out", "r", "--csv"});
  REQUIRE(result.exit == 0);
  CHECK(result.out == read(scratch.path() / "r/compare.csv"));
  CHECK_THAT(result.out, Contains("folder,scenario,seed,status,reason,model,"));
  CHECK_THAT(result.out, Contains("\n\"01-a, b\",\"a, b.yaml\",1,done,,mixtral-8x7b,h100-sxm,8,1,8 = 1 node x 8,"));
  CHECK_THAT(result.out, Contains("\n\"02-a, b\",\"a, b.yaml\",2,done,"));
}

TEST_CASE("A text that a spreadsheet would take for a formula is marked and a number stays one", "[cli]") {
  const TemporaryFolder scratch;
  scratch.write("=A1.yaml", kSmall);
  const CommandResult result = compare(scratch, {"=A1.yaml", "--vary", "seed=1,-1,=2", "--csv"});
  REQUIRE(result.exit == 0);
  CHECK_THAT(result.out, Contains("\n01-=A1,'=A1.yaml,1,done,,mixtral-8x7b,"));
  CHECK_THAT(result.out, Contains("\n02-=A1,'=A1.yaml,-1,invalid,\"'--vary seed=-1: got "));
  CHECK_THAT(result.out, Contains("\n03-=A1,'=A1.yaml,'=2,invalid,"));
}

TEST_CASE("Control characters of a name are escapes on the terminal", "[cli]") {
  const TemporaryFolder scratch;
  scratch.write("a\x1b[31m.yaml", kSmall);
  scratch.write("b.yaml", kSmall);
  const CommandResult result = compare(scratch, {"a\x1b[31m.yaml", "b.yaml"});
  REQUIRE(result.exit == 0);
  CHECK(result.out.find('\x1b') == std::string::npos);
  CHECK_THAT(result.out, Contains("2 decode runs, best 01-a\\x1b[31m with "));
  const CommandResult one = compare(scratch, {"a\x1b[31m.yaml", "--vary", "layout.experts.ep=8,7"});
  CHECK(one.out.find('\x1b') == std::string::npos);
  CHECK_THAT(one.out, Contains("\n  02-a\\x1b[31m invalid: "));
}

TEST_CASE("A narrow terminal gets the columns that matter most and hears of the others", "[cli]") {
  if (run_program("script", {"-qec", "true", "/dev/null"}, {}).exit != 0) {
    WARN("skipped: no terminal can be made here (script, /dev/pts)");
    return;
  }
  const TemporaryFolder scratch;
  scratch.write("s.yaml", kSmall + "slo: {tpot: 5 ms, ttft: 1 s}\n");
  const auto on_terminal = [&](int columns) {
    const std::string command = std::string{"stty cols "} + std::to_string(columns) + "; '" + MOESIM_BINARY +
                                "' compare s.yaml --vary layout.experts.ep=8,4";
    return run_program("script", {"-qec", command, "/dev/null"}, {.folder = scratch.path().string()}).out;
  };
  for (const int columns : {80, 120}) {
    const std::string out = on_terminal(columns);
    INFO(out);
    std::istringstream lines{out.substr(out.find("\n  run ") + 1)};
    std::string line;
    while (std::getline(lines, line) && line.rfind("  report ", 0) != 0) CHECK(line.size() <= columns + 1u);  // \r
    CHECK_THAT(out, Contains("out tok/s/GPU") && Contains("/best"));
    CHECK_THAT(out, Contains("  left out, see compare.csv: layout, bound by"));
  }
  CHECK_THAT(on_terminal(250), Contains("bound by") && !Contains("compare.csv"));
}
