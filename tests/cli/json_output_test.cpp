// Every --json output obeys its committed schema.

#include <nlohmann/json.hpp>

#include "tests/catch_compat.hpp"
#include "tests/cli/json_schema.hpp"
#include "tests/cli/run_command.hpp"

using namespace moesim::testing;

namespace {

const std::string kProject = MOESIM_TEST_SOURCE_DIR;

nlohmann::json json_of(const std::vector<std::string>& arguments) {
  const CommandResult result = run_command(arguments);
  INFO(result.err);
  REQUIRE(result.exit == 0);
  return nlohmann::json::parse(result.out);
}

}  // namespace

TEST_CASE("The JSON of model obeys its schema for every zoo model", "[cli]") {
  const std::string name = GENERATE("mixtral-8x7b", "deepseek-v2-lite", "deepseek-v3", "qwen3-30b-a3b", "llama-3.1-8b",
                                    "gpt-oss-120b", "llama-4-scout", "dbrx", "switch-base-8");
  INFO(name);
  CHECK(schema_violations(json_of({"model", name, "--json"}), "model") == "");
}

TEST_CASE("The parameters of the published models are exact on the command line", "[cli]") {
  CHECK(json_of({"model", "mixtral-8x7b", "--json"})["parameters"]["total"] == 46702792704);
  CHECK(json_of({"model", "deepseek-v3", "--json"})["parameters"]["total"] == 671026419200);
}

TEST_CASE("The JSON of topo obeys its schema, with and without a spine", "[cli]") {
  const auto scenario = json_of({"topo", kProject + "/scenarios/deepseek_v3_decode_ep144.yaml", "--json"});
  CHECK(schema_violations(scenario, "topo") == "");
  const auto large = json_of({"topo", "--gpu", "h100-sxm", "--nodes", "44", "--oversubscription", "2", "--json"});
  CHECK(schema_violations(large, "topo") == "");
}

TEST_CASE("The JSON of place, check, list and doctor obeys its schema", "[cli]") {
  CHECK(schema_violations(json_of({"place", kProject + "/tests/placement/eplb_example.csv", "--gpus", "8", "--nodes",
                                   "2", "--groups", "4", "--slots", "16", "--policy", "eplb", "--json"}),
                          "place") == "");
  CHECK(schema_violations(json_of({"check", kProject + "/scenarios/quickstart.yaml", "--json"}), "check") == "");
  for (const char* what : {"models", "gpus", "nics", "switches", "policies", "routing", "fabrics"}) {
    INFO(what);
    CHECK(schema_violations(json_of({"list", what, "--json"}), "list") == "");
  }
  CHECK(schema_violations(json_of({"doctor", "--json"}), "doctor") == "");
}
