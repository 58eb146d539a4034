// check, list and schema as a user runs them.

#include <algorithm>

#include <nlohmann/json.hpp>

#include "sim/scenario/keys.hpp"
#include "sim/scenario/scenario.hpp"
#include "tests/catch_compat.hpp"
#include "tests/cli/json_schema.hpp"
#include "tests/cli/run_command.hpp"

using namespace moesim;
using namespace moesim::testing;
using Catch::Matchers::Contains;

namespace {

const std::string kQuickstart = std::string{MOESIM_TEST_SOURCE_DIR} + "/scenarios/quickstart.yaml";

nlohmann::json json_of(const std::vector<std::string>& arguments) {
  const CommandResult result = run_command(arguments);
  INFO(result.err);
  REQUIRE(result.exit == 0);
  CHECK(result.err == "");
  return nlohmann::json::parse(result.out);
}

}  // namespace

TEST_CASE("check says in one line what a good scenario is", "[scenario]") {
  const CommandResult result = run_command({"check", kQuickstart});
  CHECK(result.exit == 0);
  CHECK_THAT(result.out, Contains("quickstart: ok, mixtral-8x7b on 8 x h100-sxm (1 node), attention tp1 x dp8"));
}

TEST_CASE("check --json is valid to its schema and names every key", "[scenario]") {
  const auto document = json_of({"check", "--set", "seed=7", kQuickstart, "--json"});
  CHECK(schema_violations(document, "check") == "");
  CHECK(document["resolved"].size() == scenario_keys().size());
  CHECK(document["resolved"].back()["value"] == "7");
  CHECK(document["resolved"].back()["origin"] == "--set");
  CHECK(document["scenario_hash"] == scenario_hash(load_scenario(kQuickstart, {{"seed", "7"}})));
}

TEST_CASE("check --resolved prints a scenario that checks to the same hash from another folder", "[scenario]") {
  const CommandResult resolved = run_command({"check", kQuickstart, "--resolved"});
  REQUIRE(resolved.exit == 0);
  CHECK(scenario_hash(parse_scenario(resolved.out, "r.yaml", "/")) == scenario_hash(load_scenario(kQuickstart)));
}

TEST_CASE("check exits 2 with one line on stderr and nothing on stdout", "[scenario]") {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"check", kQuickstart, "--json", "--set", "layout.experts.ep=abc"},
        {"check", "no_such_file.yaml"},
        {"check", kQuickstart, "--set", "nonsense"},
        {"check", kQuickstart, "--set", "placement.policy=affinity"}}) {
    const CommandResult result = run_command(arguments);
    INFO(result.err);
    CHECK(result.exit == 2);
    CHECK(result.out == "");
    CHECK(std::count(result.err.begin(), result.err.end(), '\n') == 1);
  }
}

TEST_CASE("list --json is valid to its schema, and every name works in a scenario", "[scenario]") {
  for (const std::string kind : {"models", "gpus", "nics", "switches", "policies", "routing", "fabrics"}) {
    INFO(kind);
    const auto document = json_of({"list", kind, "--json"});
    CHECK(schema_violations(document, "list") == "");
    CHECK(document["kind"] == kind);
    CHECK_FALSE(document["items"].empty());
    auto wrong = document;
    wrong["items"][0]["surprise"] = 1;
    CHECK(schema_violations(wrong, "list") != "");
  }
  const auto gpus = json_of({"list", "gpus", "--json"});
  REQUIRE(gpus["items"].size() >= 10);
  for (const auto& item : gpus["items"])
    CHECK_THAT(run_command({"check", kQuickstart, "--set", "cluster.gpu=" + item["name"].get<std::string>()}).err,
               !Contains("cluster.gpu"));  // a node of 72 or of one may well not take the layout
  CHECK_THAT(run_command({"check", kQuickstart, "--set", "cluster.gpu=h100"}).err, Contains("cluster.gpu"));
}

TEST_CASE("schema prints what the parser makes, and every committed schema by name", "[scenario]") {
  CHECK(run_command({"schema"}).out == scenario_schema());
  const auto names = json_of({"schema", "--list", "--json"});
  CHECK(names.size() >= 3);
  for (const std::string name : names) {
    const CommandResult result = run_command({"schema", name});
    INFO(name);
    REQUIRE(result.exit == 0);
    const auto schema = nlohmann::json::parse(result.out);
    CHECK(schema["$schema"] == "http://json-schema.org/draft-07/schema#");
  }
  const CommandResult unknown = run_command({"schema", "scenaro"});
  CHECK(unknown.exit == 2);
  CHECK_THAT(unknown.err, Contains("did you mean scenario?"));
}
