// `moesim check` judges memory as `moesim run` does.

#include <nlohmann/json.hpp>

#include "tests/catch_compat.hpp"
#include "tests/cli/json_schema.hpp"
#include "tests/cli/run_command.hpp"
#include "tests/temporary_folder.hpp"

using namespace moesim::testing;
using Catch::Matchers::Contains;

namespace {

const std::string kQuickstart = std::string{MOESIM_TEST_SOURCE_DIR} + "/scenarios/quickstart.yaml";

/// Quickstart with the sequences of a whole rack on each GPU: 4000 x 2064 tokens x 128 KiB of KV cache.
std::vector<std::string> too_large(const std::string& command, std::vector<std::string> more = {}) {
  more.insert(more.begin(), {command, kQuickstart, "--set", "workload.tokens_per_gpu=4000"});
  return more;
}

}  // namespace

TEST_CASE("check prints every line of the memory fit, their sum and the limit", "[cli]") {
  const CommandResult result = run_command({"check", kQuickstart});
  CHECK(result.exit == 0);
  CHECK(result.err == "");
  // 32 layers x 1 expert of 3 x 4096 x 14336 parameters x 2 B = 10.5 GiB; 64 sequences x 2064 tokens x 128 KiB
  CHECK_THAT(result.out, Contains("expert weights                10.5 GiB   32 layers x 1 slots x 176,160,768"));
  CHECK_THAT(result.out, Contains("KV cache                     16.12 GiB   64 sequences x 2064 tokens"));
  CHECK_THAT(result.out, Contains("of 72 GiB usable: 80 GiB x memory_fraction 0.9"));
  CHECK_THAT(result.out, Contains("of 72.0 GiB usable   ok     KV cache of at most "));
}

TEST_CASE("check and run give the same memory fit", "[cli]") {
  const TemporaryFolder scratch;
  const auto checked = nlohmann::json::parse(run_command({"check", kQuickstart, "--json"}).out);
  const auto ran = nlohmann::json::parse(run_command({"run", kQuickstart, "--json", "--out", scratch.path("r")}).out);
  CHECK(checked["ok"] == true);
  CHECK(checked["memory"] == ran["memory"]);
  double sum = 0;
  for (const auto& line : checked["memory"]["detail"]) sum += line["bytes"].get<double>();
  CHECK(sum == Approx(checked["memory"]["per_gpu_max_bytes"].get<double>()).epsilon(1e-12));
}

TEST_CASE("check of a scenario that does not fit exits 4 with the message of run, after the lines", "[cli]") {
  const TemporaryFolder scratch;
  const CommandResult ran = run_command(too_large("run", {"--out", scratch.path("r")}));
  REQUIRE(ran.exit == 4);
  const CommandResult checked = run_command(too_large("check"));
  CHECK(checked.exit == 4);
  CHECK(checked.err == ran.err);
  CHECK_THAT(checked.err, Contains(" of 72 GiB usable (80 GiB x memory_fraction 0.9), most of it 'KV cache' with ") &&
                              Contains("remedy: "));
  CHECK_THAT(checked.out, Contains("quickstart: does not fit, mixtral-8x7b") && Contains("KV cache ") &&
                              Contains("of 72.0 GiB usable   does not fit"));
}

TEST_CASE("check --json of a scenario that does not fit is a document of its schema, and exit 4", "[cli]") {
  const CommandResult result = run_command(too_large("check", {"--json"}));
  CHECK(result.exit == 4);
  CHECK_THAT(result.err, Contains("remedy: "));
  const auto document = nlohmann::json::parse(result.out);
  CHECK(schema_violations(document, "check") == "");
  CHECK(document["ok"] == false);
  CHECK(document["memory"]["fits"] == false);
  CHECK(document["memory"]["per_gpu_max_bytes"] > document["memory"]["capacity_bytes"]);
}

TEST_CASE("check --resolved of a scenario that does not fit still prints the scenario, and exits 4", "[cli]") {
  const CommandResult result = run_command(too_large("check", {"--resolved"}));
  CHECK(result.exit == 4);
  CHECK_THAT(result.out, Contains("tokens_per_gpu: 4000"));
}
