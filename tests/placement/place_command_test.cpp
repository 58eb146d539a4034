// `moesim place` as a user meets it.

#include <filesystem>
#include <fstream>

#include <nlohmann/json.hpp>

#include "tests/catch_compat.hpp"
#include "tests/cli/json_schema.hpp"
#include "tests/cli/run_command.hpp"
#include "tests/own_folder.hpp"

using namespace moesim::testing;
using Catch::Matchers::Contains;
using nlohmann::json;

namespace {

const std::string kExample = std::string{MOESIM_TEST_SOURCE_DIR} + "/tests/placement/eplb_example.csv";

// The output that EPLB's README publishes for its example.
const json kFirst{5, 6, 5, 7, 8, 4, 3, 4, 10, 9, 10, 2, 0, 1, 11, 1};
const json kSecond{7, 10, 6, 8, 6, 11, 8, 9, 2, 4, 5, 1, 5, 0, 3, 1};

CommandResult place_example(std::vector<std::string> more) {
  std::vector<std::string> arguments{"place", kExample,   "--gpus", "8",       "--nodes",
                                     "2",     "--groups", "4",      "--slots", "16"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return run_command(arguments);
}

/// `moesim place` of a file with this text.
CommandResult place_text(const std::string& text, std::vector<std::string> more,
                         const std::string& name = "place_under_test.csv") {
  std::ofstream{name} << text;
  std::vector<std::string> arguments{"place", name};
  arguments.insert(arguments.end(), more.begin(), more.end());
  const CommandResult result = run_command(arguments);
  std::filesystem::remove(name);
  return result;
}

}  // namespace

TEST_CASE("The published example gives the published vectors, and its JSON obeys the schema", "[placement]") {
  const CommandResult result = place_example({"--policy", "eplb", "--json"});
  REQUIRE(result.exit == 0);
  CHECK(result.err.empty());
  const json document = json::parse(result.out);
  CHECK(schema_violations(document, "place") == "");
  CHECK(document["layers"][0]["slot_expert"] == kFirst);
  CHECK(document["layers"][1]["slot_expert"] == kSecond);
  CHECK(document["layers"][0]["placed_max_over_mean"].get<double>() == Approx(1.2081).margin(5e-5));
  CHECK(document["layers"][1]["placed_max_over_mean"].get<double>() == Approx(1.2422).margin(5e-5));
  // Before, experts 0-7 in pairs' place: 12 on 8 GPUs are 2 2 2 2 1 1 1 1; the fullest holds experts 4 and 5: 269 of
  // 1033
  CHECK(document["layers"][0]["linear_max_over_mean"].get<double>() == Approx(269.0 * 8 / 1033));
  CHECK(place_example({"--format", "json"}).out == result.out);
}

TEST_CASE("Each engine gets the published vectors in its own words", "[placement]") {
  const json sglang = json::parse(place_example({"--format", "sglang"}).out);
  CHECK(sglang == json{{"physical_to_logical_map", {kFirst, kSecond}}});
  const json vllm = json::parse(place_example({"--format", "vllm"}).out);
  CHECK(vllm["physical_to_logical_map"] == json{kFirst, kSecond});
  CHECK(vllm["logical_replica_count"][0] == json{1, 2, 1, 1, 2, 2, 1, 1, 1, 1, 2, 1});
  CHECK_THAT(
      place_example({"--format", "trtllm", "--first-layer", "3"}).out,
      Contains(
          "num_slots: 16\ninitial_global_assignments:\n  3: [5, 6, 5, 7, 8, 4, 3, 4, 10, 9, 10, 2, 0, 1, 11, 1]\n"));
}

TEST_CASE("The table shows before, after, bounds, copies and slots", "[placement]") {
  const std::string table = place_example({}).out;
  CHECK_THAT(table, Contains("12 experts in 16 slots on 8 GPUs (2 nodes), policy eplb"));
  CHECK_THAT(table, Contains("     0   2.0833   1.2081   1.0000        1.4172   1x2 4x2 5x2 10x2\n"));
  CHECK_THAT(table, Contains("     0   [5 6] [5 7] [8 4] [3 4] [10 9] [10 2] [0 1] [11 1]\n"));
}

TEST_CASE("An existing placement is judged under new loads", "[placement]") {
  std::ofstream{"placement_to_judge.csv"} << "layer,rank,experts\n0,0,0 1\n0,1,2\n";
  const CommandResult result =
      place_text("1,2,9\n", {"--gpus", "2", "--policy", "file", "--placement", "placement_to_judge.csv", "--json"});
  std::filesystem::remove("placement_to_judge.csv");
  REQUIRE(result.exit == 0);
  const json layer = json::parse(result.out)["layers"][0];
  CHECK(schema_violations(json::parse(result.out), "place") == "");
  CHECK(layer["gpu_tokens"] == json{3.0, 9.0});
  CHECK(layer["slot_expert"] == json{0, 1, 2, nullptr});
  CHECK(layer["placed_max_over_mean"] == 1.5);
}

TEST_CASE("Bad input to place is exit 2 and one line", "[placement]") {
  struct Case {
    std::string text;
    std::vector<std::string> arguments;
    std::string message;
  };
  const auto [text, arguments, message] = GENERATE(values<Case>({
      {"1,2\n3\n", {"--gpus", "2"}, "place_under_test.csv:2:1: got 1 fields, expected 2 fields as in the first line"},
      {"1,-2\n", {"--gpus", "2"}, "place_under_test.csv:1:3: got count \"-2\", expected a finite number >= 0"},
      {"1,nan\n", {"--gpus", "2"}, "got count \"nan\", expected a finite number"},
      {"layer,expert,count\n0,1,4\n", {"--gpus", "2"}, "got no row for layer 0, expert 0"},
      {"1,2,3\n",
       {"--gpus", "2"},
       "--gpus: got 2, expected a divisor of the 3 experts, or --slots; did you mean 1 or 3?"},
      {"1,2\n", {"--gpus", "0"}, "--gpus: got '0', expected a whole number from 1 to 65536"},
      {"1,2\n", {"--gpus", "2", "--slots", "4", "--policy", "lpt"}, "policy lpt makes no replicas"},
      {"1,2\n",
       {"--gpus", "2", "--slots", "5"},
       "--slots: got 5, expected a multiple of the 2 GPUs; did you mean 4 or 6?"},
      {"1,2\n",
       {"--gpus", "8", "--nodes", "3", "--slots", "16"},
       "--nodes: got 3, expected a divisor of the 8 GPUs; did you mean 2 or 4?"},
      {"1,2,3,4\n",
       {"--gpus", "2", "--groups", "3"},
       "--groups: got 3, expected a divisor of the 4 experts; did you mean 2 or 4?"},
      {"1,2\n", {"--gpus", "2", "--policy", "eplp"}, "did you mean eplb?"},
      {"1,2\n", {"--gpus", "2", "--policy", "file"}, "got file without --placement"},
      {"1,2\n", {"--gpus", "2", "--placement", "p.csv"}, "--placement: got p.csv, expected --policy file, not eplb"},
      {"1,2\n", {"--gpus", "2", "--format", "vllm", "--json"}, "--json: got together with --format vllm"},
      {"1,2\n", {"--gpus", "2", "--where", "domain"}, "--where: got domain, expected COLUMN=VALUE"},
      {"1,2\n", {"--gpus", "2", "--format", "xml"}, "--format: got 'xml', expected one of table, json, "},
      {"1,2\n", {}, "--gpus is required"},
  }));
  INFO(message);
  const CommandResult result = place_text(text, arguments);
  CHECK(result.exit == 2);
  CHECK(result.out.empty());
  CHECK_THAT(result.err, Contains(message));
}

TEST_CASE("A filter takes one value, so that the file may follow it", "[placement]") {
  std::ofstream{"place_filtered.csv"} << "domain,layer,expert,count\nlaw,0,0,1\nlaw,0,1,3\nart,0,0,7\nart,0,1,1\n";
  const CommandResult result =
      run_command({"place", "--gpus", "2", "--where", "domain=law", "place_filtered.csv", "--json"});
  std::filesystem::remove("place_filtered.csv");
  REQUIRE(result.exit == 0);
  CHECK(json::parse(result.out)["layers"][0]["gpu_tokens"] == json{1.0, 3.0});
}

TEST_CASE("A loads file that is not there is exit 2", "[placement]") {
  const CommandResult result = run_command({"place", "no_such_loads.csv", "--gpus", "2"});
  CHECK(result.exit == 2);
  CHECK_THAT(result.err, Contains("no_such_loads.csv"));
}
