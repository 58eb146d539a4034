// `moesim report` and `moesim plot`: from result folders to a page and to pictures.

#include <filesystem>
#include <fstream>

#include <nlohmann/json.hpp>

#include "tests/catch_compat.hpp"
#include "tests/cli/json_schema.hpp"
#include "tests/cli/run_command.hpp"
#include "tests/temporary_folder.hpp"

using namespace moesim::testing;
using Catch::Matchers::Contains;
namespace fs = std::filesystem;

namespace {

constexpr auto kSmall =
    "model: mixtral-8x7b\ncluster: {gpu: h100-sxm}\nworkload: {phase: decode, tokens_per_gpu: 16, "
    "context: 1024, steps: 2}\nrouting: {kind: zipf, exponent: 0.6}\n";

CommandResult in(const TemporaryFolder& scratch, const std::vector<std::string>& arguments) {
  return run_command(arguments, {.folder = scratch.path().string()});
}

nlohmann::json document_in(const fs::path& page) {
  const std::string text = read(page), mark = "id=\"document\">";
  const auto start = text.find(mark);
  REQUIRE(start != std::string::npos);
  return nlohmann::json::parse(text.substr(start + mark.size(), text.find("</script>", start) - start - mark.size()));
}

}  // namespace

TEST_CASE("A run writes the report that its folder gives again", "[cli]") {
  const TemporaryFolder scratch;
  scratch.write("s.yaml", kSmall);
  REQUIRE(in(scratch, {"run", "s.yaml", "--out", "r"}).exit == 0);
  const std::string first = read(scratch.path() / "r/report.html");
  CHECK(document_in(scratch.path() / "r/report.html")["title"] == "s");
  const CommandResult again = in(scratch, {"report", "r", "--json"});
  REQUIRE(again.exit == 0);
  const auto json = nlohmann::json::parse(again.out);
  CHECK(schema_violations(json, "report") == "");
  CHECK(json["report"] == "r/report.html");
  CHECK(read(scratch.path() / "r/report.html") == first);
  CHECK(in(scratch, {"run", "s.yaml", "--out", "elsewhere"}).exit == 0);
  CHECK(read(scratch.path() / "elsewhere/report.html") == first);
}

TEST_CASE("A comparison's report has its runs, those that are not done too", "[cli]") {
  const TemporaryFolder scratch;
  scratch.write("s.yaml", kSmall);
  REQUIRE(in(scratch, {"compare", "s.yaml", "--vary", "layout.experts.ep=8,7,4", "--out", "c"}).exit == 0);
  const auto document = document_in(scratch.path() / "c/report.html");
  REQUIRE(document["runs"].size() == 3);
  CHECK(document["runs"][0]["label"] == "ep 8");
  CHECK(document["runs"][1]["status"] == "invalid");
  CHECK_THAT(document["runs"][1]["reason"].get<std::string>(), Contains("divisor of the 8 ranks"));
  CHECK(document["charts"][0]["id"] == "comparison");
  CHECK(document["charts"][0]["rows"].size() == 3);
}

TEST_CASE("Sorting a comparison leaves ratios to the run that was asked for first", "[cli]") {
  const TemporaryFolder scratch;
  scratch.write("s.yaml", kSmall);
  REQUIRE(in(scratch, {"compare", "s.yaml", "--vary", "layout.experts.ep=4,8", "--sort", "throughput", "--out", "c"})
              .exit == 0);
  const auto rows = nlohmann::json::parse(read(scratch.path() / "c/compare.json"))["runs"];
  const auto table = document_in(scratch.path() / "c/report.html")["charts"][0];
  REQUIRE(table["columns"][2]["name"] == "to first");
  REQUIRE(rows[1]["folder"] == "01-s");  // sorting moved the first
  for (std::size_t row : {0, 1})
    CHECK(table["rows"][row][2].get<double>() ==
          Approx(rows[row]["figures"]["ratio_to_first"].get<double>()).epsilon(1e-3));
}

TEST_CASE("Folders are compared, and runs of one name are told apart by folder", "[cli]") {
  const TemporaryFolder scratch;
  scratch.write("s.yaml", kSmall);
  REQUIRE(in(scratch, {"run", "s.yaml", "--out", "a"}).exit == 0);
  REQUIRE(in(scratch, {"run", "s.yaml", "--set", "layout.experts.ep=4", "--out", "b"}).exit == 0);
  CHECK(in(scratch, {"report", "a", "b"}).err ==
        "moesim: --out: got nothing, expected a file for the report of several folders, as --out report.html\n");
  REQUIRE(in(scratch, {"report", "a", "b", "--out", "both.html"}).exit == 0);
  const auto document = document_in(scratch.path() / "both.html");
  CHECK(document["runs"][0]["label"] == "s (a)");
  CHECK(document["runs"][1]["label"] == "s (b)");
  CHECK(document["charts"][0]["command"] == "moesim report a b --out both.html");
  CHECK(in(scratch, {"report", "a", "b", "--out", "both.html"}).exit == 2);  // there already
  CHECK(in(scratch, {"report", "a", "b", "--out", "both.html", "--force"}).exit == 0);
}

TEST_CASE("Prefill and decode are not reported beside each other", "[cli]") {
  const TemporaryFolder scratch;
  scratch.write("s.yaml", kSmall);
  REQUIRE(in(scratch, {"run", "s.yaml", "--out", "d"}).exit == 0);
  REQUIRE(in(scratch, {"run", "s.yaml", "--set", "workload.phase=prefill", "--out", "p"}).exit == 0);
  const CommandResult result = in(scratch, {"report", "d", "p", "--out", "both.html"});
  CHECK(result.exit == 2);
  CHECK(result.err ==
        "moesim: report: got prefill (p) beside decode (d), expected results of one workload.phase: tokens "
        "of a prompt and of an answer are different units\n");
  CHECK(!fs::exists(scratch.path() / "both.html"));
}

TEST_CASE("A folder that holds no whole results is refused", "[cli]") {
  const TemporaryFolder scratch;
  scratch.write("s.yaml", kSmall);
  CHECK(in(scratch, {"report", "none"}).err ==
        "moesim: none: got no such folder, expected a result folder of moesim run or compare\n");
  fs::create_directory(scratch.path() / "empty");
  CHECK(
      in(scratch, {"plot", "empty"}).err ==
      "moesim: empty: got neither summary.json nor compare.json, expected a result folder of moesim run or compare\n");
  REQUIRE(in(scratch, {"compare", "s.yaml", "--vary", "seed=1,2", "--out", "c"}).exit == 0);
  fs::remove(scratch.path() / "c/02-s/gpus.csv");
  const CommandResult missing = in(scratch, {"report", "c"});
  CHECK(missing.exit == 2);
  CHECK_THAT(missing.err, Contains("c/02-s/gpus.csv"));
  scratch.write("c/compare.json", "{\"version\": ");
  const CommandResult damaged = in(scratch, {"report", "c"});
  CHECK(damaged.exit == 2);
  CHECK_THAT(damaged.err, Contains("moesim: c/compare.json: got damaged JSON (parse error at "));
  scratch.write("c/compare.json", "{\"version\": \"0.0.1\", \"runs\": []}");
  CHECK_THAT(in(scratch, {"report", "c"}).err,
             Contains("c/compare.json: got results of moesim 0.0.1, expected those of this moesim "));
}

TEST_CASE("Every chart becomes an SVG and a PNG", "[cli]") {
  const TemporaryFolder scratch;
  scratch.write("s.yaml", kSmall);
  REQUIRE(in(scratch, {"run", "s.yaml", "--out", "r"}).exit == 0);
  const CommandResult result = in(scratch, {"plot", "r", "--json"});
  if (result.exit == 77) {
    WARN("skipped: " << result.err);
    return;
  }
  REQUIRE(result.exit == 0);
  const auto json = nlohmann::json::parse(result.out);
  CHECK(schema_violations(json, "plot") == "");
  REQUIRE(json["pictures"].size() == 12);
  for (const auto& picture : json["pictures"]) {
    const std::string file = picture["file"], text = read(scratch.path() / file);
    INFO(file);
    CHECK(text.size() > 4000);
    CHECK(text.find(file.ends_with(".svg") ? "</svg>" : "IEND") != std::string::npos);
  }
  const CommandResult wrong = in(scratch, {"plot", "r", "--chart", "memry"});
  CHECK(wrong.exit == 2);
  CHECK_THAT(wrong.err, Contains("--chart: got memry, expected one of critical_path, memory, ") &&
                            Contains("did you mean memory?"));
}

TEST_CASE("Without gnuplot plot says what to install", "[cli]") {
  const TemporaryFolder scratch;
  scratch.write("s.yaml", kSmall);
  REQUIRE(in(scratch, {"run", "s.yaml", "--out", "r"}).exit == 0);
  const CommandResult result =
      run_command({"plot", "r"}, {.folder = scratch.path().string(), .environment = {{"PATH", "/nowhere"}}});
  CHECK(result.exit == 77);
  CHECK_THAT(result.err, Contains("gnuplot is not installed; apt-get install gnuplot-nox"));
}
