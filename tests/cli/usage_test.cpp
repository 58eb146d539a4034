// What the command line says to a line that it cannot take: one form, and the nearest name.

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/catch_compat.hpp"
#include "tests/cli/run_command.hpp"
#include "tests/temporary_folder.hpp"

using namespace moesim::testing;
using Catch::Matchers::Contains;

namespace {

const std::string kQuickstart = std::string{MOESIM_TEST_SOURCE_DIR} + "/scenarios/quickstart.yaml";
const std::string kLoads = std::string{MOESIM_TEST_SOURCE_DIR} + "/tests/placement/eplb_example.csv";

/// stderr of a command line that is refused: exit 2, nothing on stdout, one line that starts with the program's name.
std::string refusal(const std::vector<std::string>& arguments) {
  const CommandResult result = run_command(arguments);
  std::string line = "moesim";
  for (const std::string& argument : arguments) line += " " + argument;
  INFO(line << "\n" << result.err);
  CHECK(result.exit == 2);
  CHECK(result.out.empty());
  CHECK(std::count(result.err.begin(), result.err.end(), '\n') == 1);
  REQUIRE(result.err.rfind("moesim: ", 0) == 0);
  return result.err.substr(8, result.err.size() - 9);
}

}  // namespace

TEST_CASE("An unknown option names the nearest one, whatever else is missing", "[cli]") {
  CHECK(refusal({"run", kQuickstart, "--jsonn"}) ==
        "run: got the unknown option --jsonn, expected one of `moesim run --help`; did you mean --json?");
  CHECK(refusal({"run", "--sett=seed=2"}) ==
        "run: got the unknown option --sett, expected one of `moesim run --help`; did you mean --set?");
  CHECK(refusal({"routing", "fit", "--resample", "20"}) ==
        "routing fit: got the unknown option --resample, expected one of `moesim routing fit --help`; did you mean "
        "--resamples?");
  CHECK(refusal({"--verison"}) ==
        "command: got the unknown option --verison, expected one of `moesim --help`; did you mean --version?");
}

TEST_CASE("What is missing or too much is said with the command", "[cli]") {
  CHECK(refusal({"run"}) == "run: scenario is required (see `moesim run --help`)");
  CHECK(refusal({"place", "loads.csv"}) == "place: --gpus is required (see `moesim place --help`)");
  CHECK(refusal({"check", kQuickstart, "more.yaml"}) ==
        "check: got 'more.yaml' too, expected only what `moesim check --help` lists");
  CHECK_THAT(refusal({"run", kQuickstart, "--out"}), Contains("run: --out: ") && Contains("`moesim run --help`"));
  CHECK(refusal({"routing"}) == "routing: got no command, expected one of fit, control");
  CHECK(refusal({"routing", "fitt"}) == "routing: got 'fitt', expected one of fit, control; did you mean fit?");
}

TEST_CASE("An unknown command is refused, also when help is asked of it", "[cli]") {
  CHECK_THAT(refusal({"docter", "--help"}),
             Contains("command: got 'docter', expected one of run, check, ") && Contains("; did you mean doctor?"));
}

TEST_CASE("A name of a closed list is refused with the nearest one", "[cli]") {
  CHECK(refusal({"list", "gpu"}) ==
        "list: kind: got 'gpu', expected one of models, gpus, nics, switches, profiles, policies, routing, fabrics; "
        "did you mean "
        "gpus? (see `moesim list --help`)");
  CHECK_THAT(refusal({"place", kLoads, "--gpus", "4", "--format", "tabel"}),
             Contains("place: --format: got 'tabel', expected one of table, json, sglang, vllm, trtllm; did you mean "
                      "table?"));
}

TEST_CASE("A number of the command line is in its range, and is a number", "[cli]") {
  const std::vector<std::string> control{"routing", "control"};
  const auto with = [](std::vector<std::string> words, std::vector<std::string> more) {
    words.insert(words.end(), more.begin(), more.end());
    return words;
  };
  CHECK_THAT(refusal(with(control, {"--sigma", "nan"})),
             Contains("routing control: --sigma: got 'nan', expected a number from 0 to 20"));
  CHECK_THAT(refusal(with(control, {"--seed", "-1"})),
             Contains("--seed: got '-1', expected a whole number from 0 to 9007199254740991"));
  for (const char* option : {"--sigma", "--spread", "--rate", "--growth"})
    for (const char* value : {"nan", "inf", "-inf", "-0.1", "x", "1x", "1e999", "0x1p3"})
      CHECK_THAT(refusal(with(control, {option, value})),
                 Contains(std::string{option} + ": got '" + value + "', expected a number from 0 to "));
  for (const char* option : {"--steps", "--tokens", "--seed"})
    for (const char* value : {"nan", "1.5", "1e3", "-1", "99999999999999999999"})
      CHECK_THAT(refusal(with(control, {option, value})),
                 Contains(std::string{option} + ": got '" + value + "', expected a whole number from "));
  for (const char* value : {"-1", "x", "1.5", "99999999999"})
    CHECK_THAT(refusal({"run", kQuickstart, "--audit", value}),
               Contains("--audit: got '" + std::string{value} + "', expected a whole number from 0 to 1000000"));
  for (const char* option : {"--experts", "--resamples", "--seed"})
    CHECK_THAT(refusal({"routing", "fit", "t.csv", option, "-1"}),
               Contains(": got '-1', expected a whole number from"));
  for (const char* option : {"--gpus", "--nodes", "--groups", "--slots"})
    CHECK_THAT(refusal({"place", kLoads, "--gpus", "4", option, "0"}),
               Contains(": got '0', expected a whole number from 1"));
}

TEST_CASE("An empty value is refused, not taken for the default", "[cli]") {
  CHECK(refusal({"run", kQuickstart, "--out", ""}) ==
        "run: --out: got an empty text, expected a value (see `moesim run --help`)");
  CHECK(refusal({"model", ""}) == "model: model: got an empty text, expected a value (see `moesim model --help`)");
  CHECK_THAT(refusal({"topo", kQuickstart, "--svg", ""}), Contains("topo: --svg: got an empty text"));
  CHECK_THAT(refusal({"check", kQuickstart, "--set", ""}), Contains("check: --set: got an empty text"));
}

TEST_CASE("A folder in the place of a model is called one, and what is in it offered", "[cli]") {
  const TemporaryFolder scratch;
  std::filesystem::create_directory(scratch.path() / "mine");
  const auto model = [&] { return run_command({"model", "mine"}, {.folder = scratch.path().string()}); };
  CHECK(model().exit == 2);
  CHECK(model().err.rfind("moesim: model: got mine, a folder, expected a path to a config.json, or one of ", 0) == 0);
  CHECK_THAT(model().err, !Contains("did you mean"));
  scratch.write("mine/config.json", "{}");
  CHECK_THAT(model().err, Contains("; did you mean mine/config.json?"));
}

TEST_CASE("A model takes the number formats of a scenario, under the same names", "[cli]") {
  const auto text = [](const std::string& format) {
    const CommandResult result = run_command({"model", "mixtral-8x7b", "--json", "--precision", format});
    INFO(result.err);
    CHECK(result.exit == 0);
    return result.out;
  };
  CHECK(text("fp8") == text("fp8_block"));
  CHECK(text("fp8_per_tensor") != text("fp8_block"));
  CHECK_THAT(refusal({"model", "mixtral-8x7b", "--precision", "FP8"}), Contains("--precision: got the text 'FP8', "
                                                                                "expected one of bf16, ") &&
                                                                           Contains("; did you mean fp8?"));
}
