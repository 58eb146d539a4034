// What is said of a profile's worth: bounds, shapes, what it rests on, and that beside the figures of a comparison.

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tests/catch_compat.hpp"
#include "tests/cli/json_schema.hpp"
#include "tests/cli/run_command.hpp"
#include "tests/cli/small_scenario.hpp"
#include "tests/temporary_folder.hpp"

using namespace moesim::testing;
using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;

TEST_CASE("A missed bound fails a profile's check only when strict", "[cli]") {
  const TemporaryFolder scratch;
  // one operation's inside bound, 3 and 10 %, kept; one collective's, 10 %, missed; one regime without a bound
  const auto error = [](const std::string& operation, const std::string& regime, const std::string& median) {
    return "{\"operation\":\"" + operation + "\",\"regime\":\"" + regime + "\",\"points\":9,\"median\":" + median +
           ",\"p90\":0.09,\"sigma\":0.1,\"bias\":0,\"baseline\":\"roofline\",\"baseline_median\":0.5,"
           "\"baseline_p90\":0.6}";
  };
  const auto profile = [&](const std::string& all_reduce) {
    return R"({"format":"moesim kernel model","version":2,"name":"toy","gpu":"h100-sxm","device":"toy","origin":)"
           R"({"source":"published","name":"us","revision":"1","date":"2026","licence":"ours","notes":[]},"engines":)"
           R"([{"engine":"toy","version":"1","errors":[)" +
           error("gemm", "inside", "0.02") + "," + error("gemm", "between", "0.4") +
           R"(],"tables":[{"operation":"gemm","kernel":"k","format":"bf16","dimensions":{},"axes":["n","k"],)"
           R"("size":"m","curves":[[[128,256],[1],[9]]]}]}],"collectives":[)"
           R"({"library":"nccl","version":"1","errors":[)" +
           error("all_reduce", "4 ranks", all_reduce) +
           R"(],"tables":[{"operation":"all_reduce","kernel":"k","format":"bf16","dimensions":{"ranks":4},)"
           R"("axes":[],"size":"bytes","curves":[[[],[1],[9]]]}]}]})";
  };
  const std::string kept = scratch.write("kept.json", profile("0.1")),
                    missed = scratch.write("missed.json", profile("0.11"));
  CHECK(run_command({"profile", "check", kept, "--strict"}).exit == 0);
  CHECK(run_command({"profile", "check", missed}).exit == 0);
  const CommandResult strict = run_command({"profile", "check", missed, "--strict"});
  CHECK(strict.exit == 1);
  CHECK(strict.err == "");
  CHECK_THAT(strict.out, Contains("MISS all_reduce") && Contains("1 of 2 bounds missed"));
  const CommandResult as_json = run_command({"profile", "check", missed, "--strict", "--json"});
  CHECK(as_json.exit == 1);
  const auto json = nlohmann::json::parse(as_json.out);
  CHECK(schema_violations(json, "profile_check") == "");
  CHECK(json["bounded"] == 2);
  CHECK(json["missed"] == 1);
  CHECK(json["all_kept"] == false);
}

TEST_CASE("A profile tells which shapes it holds and whose they are", "[cli]") {
  const CommandResult shown = run_command({"profile", "show", "h100-sxm"});
  REQUIRE(shown.exit == 0);
  // Mixtral's experts are 14,336 wide, over 1 to 32 GPUs 448: the widths of a table that expert TP cuts
  CHECK_THAT(shown.out, Contains("4096 wide, 8 experts, top 2: bf16 448..14336 (6 widths)") &&
                            Contains("slots 1..8, rows 1..32768 · mixtral-8x7b"));
  CHECK_THAT(shown.out, Contains("head_dim 128: bf16, fp8 · heads_per_kv_head 1..96, tokens 1..16384"));
  CHECK_THAT(shown.out, Contains("ranks 8: bf16"));

  const auto json = nlohmann::json::parse(run_command({"profile", "show", "h100-sxm", "--json"}).out);
  CHECK(schema_violations(json, "profile_show") == "");
  int of_mixtral = 0;
  for (const auto& shape : json["engines"][0]["shapes"]) {
    const auto& models = shape["models"];
    if (std::find(models.begin(), models.end(), "mixtral-8x7b") == models.end()) continue;
    ++of_mixtral;
    CHECK(shape["dimensions"]["hidden"] == 4096);
    CHECK(14336 % shape["dimensions"]["expert_hidden"].get<int>() == 0);
    CHECK(shape["axes"]["slots"]["most"] == 8);
  }
  CHECK(of_mixtral == 6 + 6 + 5);  // bf16, fp8 and fp8_block, which wants multiples of 128 columns
  int tables = 0;
  for (const auto& operation : json["engines"][0]["operations"]) tables += operation["tables"].get<int>();
  CHECK(json["engines"][0]["shapes"].size() == static_cast<std::size_t>(tables));
}

TEST_CASE("A profile of a few rows says that it rests on nearly nothing", "[cli]") {
  const TemporaryFolder scratch;
  std::string rows = "engine,version,operation,kernel,format,n,k,m,microseconds\n";
  for (const char* row : {"1,9", "64,11", "4096,90"})
    rows += "mine,1,gemm,mm,bf16,4096,4096," + std::string{row} + "\n";
  scratch.write("mine.csv", rows);
  const auto moesim = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "profile");
    const CommandResult result = run_command(arguments, {.folder = scratch.path().string()});
    INFO(result.err);
    REQUIRE(result.exit == 0);
    return result.out;
  };
  const std::string thin = "mine 1: gemm: its table rests on fewer than 5 measured times (the least on 3)",
                    unjudged = "mine 1: gemm: judged on 0 rows that no fit saw, fewer than 10: its error is not known";
  // 4096 x 4096 and 4096 rows are 137 GFLOP: 139 us at the peak of which 0.8 is believed
  const CommandResult refused =
      run_command({"profile", "import", "--from", "csv", "mine.csv", "--gpu", "h100-sxm", "--out", "mine.json"},
                  {.folder = scratch.path().string()});
  CHECK(refused.exit == 2);
  CHECK_THAT(refused.err, Contains("mine.csv:4: microseconds: got 90, expected at least 111.1"));
  scratch.write("mine.csv", rows.substr(0, rows.rfind("90")) + "210\n");
  CHECK_THAT(moesim({"import", "--from", "csv", "mine.csv", "--gpu", "h100-sxm", "--out", "mine.json"}),
             Contains("  warning    " + thin) && Contains("  warning    " + unjudged));
  CHECK_THAT(moesim({"show", "mine.json"}), Contains(thin) && Contains("3 measured times"));
  CHECK_THAT(moesim({"show", "mine.json"}), StartsWith("mine · h100-sxm · calibrated\n  source     mine.csv\n\n"));
  CHECK_THAT(moesim({"check", "mine.json"}), Contains(thin) && Contains("measured times: gemm 3 in 1 tables"));
  const auto json = nlohmann::json::parse(moesim({"show", "mine.json", "--json"}));
  CHECK(schema_violations(json, "profile_show") == "");
  CHECK(json["warnings"].size() == 2);
  CHECK(json["engines"][0]["shapes"][0]["points"] == 3);
  CHECK(json["origin"]["source"] == "calibrated");
}

TEST_CASE("An import of own times says how far it flattened those that fall with the size", "[cli]") {
  const TemporaryFolder scratch;
  const auto import = [&](const std::string& third, const std::vector<std::string>& more) {
    std::string rows =
        "engine,version,operation,kernel,format,n,k,m,ranks,bytes,microseconds\nme,1,gemm,mm,bf16,128,256,1,1,1,4\n";
    for (const std::string& row : {std::string{"1024,10"}, std::string{"2048,20"}, third, std::string{"8192,30"}})
      rows += "me,1,all_reduce,ring,bf16,1,1,1,4," + row + "\n";
    scratch.write("mine.csv", rows);
    std::vector<std::string> arguments{"profile", "import",   "--from", "csv",       "mine.csv",
                                       "--gpu",   "h100-sxm", "--out",  "mine.json", "--force"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_command(arguments, {.folder = scratch.path().string()});
  };
  CHECK_THAT(import("4096,15", {}).out,
             Contains("  flattened  1 time falls with the size, where a curve never does: off by up to 25 % "
                      "(mine.csv:4: all_reduce 20 us, in the profile 15 us)\n"));
  const auto json = nlohmann::json::parse(import("4096,15", {"--json", "--source", "someone"}).out);
  CHECK(schema_violations(json, "profile_import") == "");
  CHECK(json["flattened"]["points"] == 1);
  CHECK(json["flattened"]["place"] == "mine.csv:4");
  CHECK(json["origin"]["source"] == "published");
  CHECK(json["origin"]["name"] == "someone");
  const auto rising = nlohmann::json::parse(import("4096,25", {"--json"}).out);
  CHECK(schema_violations(rising, "profile_import") == "");
  CHECK(rising["flattened"].is_null());
  CHECK(import("4096,25", {}).out.find("flattened") == std::string::npos);
  const CommandResult refused = import("4096.5,25", {});
  CHECK(refused.exit == 2);
  CHECK(refused.err == "moesim: mine.csv:5: bytes: got 4096.5, expected a whole number\n");
}

TEST_CASE("Measured kernels stand in a comparison with their uncertainty and warnings", "[cli]") {
  const TemporaryFolder scratch;
  scratch.write("s.yaml", kSmall);
  const CommandResult result =
      run_command({"compare", "s.yaml", "--zip", "--vary", "kernels.profile=roofline,h100-sxm,b200-sxm,b200-sxm",
                   "--vary", "cluster.gpu=h100-sxm,h100-sxm,b200-sxm,b200-sxm", "--set", "kernels.engine=trtllm",
                   "--set", "workload.context=8192", "--out", "r"},
                  {.folder = scratch.path().string()});
  INFO(result.err);
  REQUIRE(result.exit == 0);
  CHECK_THAT(result.out, Contains("\n  warning for 03, 04: attention_core: trtllm_mha of sglang stands in (") &&
                             !Contains("warning for 01") && !Contains("warning for 02"));
  const auto document = nlohmann::json::parse(read(scratch.path() / "r/compare.json"));
  CHECK(schema_violations(document, "compare") == "");
  const auto alone = nlohmann::json::parse(read(scratch.path() / "r/03-s/summary.json"));
  const auto figures = [&](int run) { return document["runs"][run]["figures"]; };
  CHECK(figures(2)["uncertainty"] == alone["uncertainty"]);
  CHECK(figures(2)["warnings"].size() == 1);
  CHECK(figures(1)["uncertainty"]["sigma"] > 0);
  CHECK(figures(1)["warnings"].empty());
  CHECK(figures(0)["uncertainty"].is_null());
  const double sigma = alone["uncertainty"]["sigma"];
  CHECK_THAT(result.out, Contains(fmt::format("  published ± {:.0f} %\n", 100 * sigma)));
  CHECK_THAT(read(scratch.path() / "r/compare.csv"), Contains(",slo,uncertainty_sigma,warnings\n") &&
                                                         Contains(",attention_core: trtllm_mha of sglang stands in ("));
}
