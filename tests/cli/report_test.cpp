// `moesim report` and `moesim plot`: from result folders to a page and to pictures.

#include <filesystem>
#include <fstream>

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

const std::string kSkewed = kSmall + "routing: {kind: zipf, exponent: 0.6}\n";

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
  scratch.write("s.yaml", kSkewed);
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
  scratch.write("s.yaml", kSkewed);
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
  scratch.write("s.yaml", kSkewed);
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
  scratch.write("s.yaml", kSkewed);
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
  scratch.write("s.yaml", kSkewed);
  REQUIRE(in(scratch, {"run", "s.yaml", "--out", "d"}).exit == 0);
  REQUIRE(in(scratch, {"run", "s.yaml", "--set", "workload.phase=prefill", "--out", "p"}).exit == 0);
  const CommandResult result = in(scratch, {"report", "d", "p", "--out", "both.html"});
  CHECK(result.exit == 2);
  CHECK(result.err ==
        "moesim: report: got prefill (p) beside decode (d), expected one workload.phase: tokens of a prompt and of an "
        "answer are different units\n");
  CHECK(!fs::exists(scratch.path() / "both.html"));
}

TEST_CASE("A folder that holds no whole results is refused", "[cli]") {
  const TemporaryFolder scratch;
  scratch.write("s.yaml", kSkewed);
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
  CHECK_THAT(damaged.err, Contains("moesim: c/compare.json: got damaged JSON at byte "));
  scratch.write("c/compare.json", "{\"version\": \"0.0.1\", \"runs\": []}");
  CHECK_THAT(in(scratch, {"report", "c"}).err,
             Contains("c/compare.json: got results of moesim 0.0.1, expected those of this moesim "));
}

TEST_CASE("A comparison leads nowhere outside its folder", "[cli]") {
  const TemporaryFolder scratch;
  scratch.write("s.yaml", kSkewed);
  REQUIRE(in(scratch, {"run", "s.yaml", "--out", "outside"}).exit == 0);
  REQUIRE(in(scratch, {"compare", "s.yaml", "--vary", "seed=1,2", "--out", "c"}).exit == 0);
  const std::string good = read(scratch.path() / "c/compare.json");
  for (const std::string& folder : {std::string{"../outside"}, scratch.path("outside"), std::string{".."}}) {
    INFO(folder);
    std::string text = good;
    const std::string name = "\"folder\": \"02-s\"";
    scratch.write("c/compare.json", text.replace(text.find(name), name.size(), "\"folder\": \"" + folder + "\""));
    const CommandResult result = in(scratch, {"report", "c"});
    CHECK(result.exit == 2);
    CHECK_THAT(result.err, Contains("c/compare.json: runs[1].folder: got \"") &&
                               Contains("expected the name of a folder in that of the comparison"));
  }
}

TEST_CASE("Results that were changed by hand to what cannot be are refused", "[cli]") {
  const TemporaryFolder scratch;
  scratch.write("s.yaml", kSkewed);
  REQUIRE(in(scratch, {"run", "s.yaml", "--out", "r"}).exit == 0);
  const auto refused = [&](const std::string& file, const std::string& from, const std::string& to) {
    const std::string good = read(scratch.path() / "r" / file);
    std::string text = good;
    REQUIRE(text.find(from) != std::string::npos);
    scratch.write("r/" + file, text.replace(text.find(from), from.size(), to));
    const CommandResult result = in(scratch, {"report", "r"});
    CHECK(result.exit == 2);
    scratch.write("r/" + file, good);
    return result.err;
  };
  CHECK_THAT(refused("summary.json", "\"output_tokens_per_s\": ", "\"output_tokens_per_s\": -"),
             Contains("moesim: r/summary.json: throughput.output_tokens_per_s: got -"));
  CHECK(refused("topology.svg", "<title>", "<script>alert(1)</script><title>") ==
        "moesim: r/topology.svg: got the element 'script', expected a drawing as moesim run writes it\n");
  CHECK_THAT(refused("run.json", "\"command\"", "\"cmd\""), Contains("moesim: r/run.json: got no key 'command'"));
  CHECK(in(scratch, {"report", "r"}).exit == 0);
}

TEST_CASE("A link in a folder of results is replaced and what it points to is left alone", "[cli]") {
  const TemporaryFolder scratch;
  scratch.write("s.yaml", kSkewed);
  scratch.write("precious", "mine");
  REQUIRE(in(scratch, {"run", "s.yaml", "--out", "r"}).exit == 0);
  fs::remove(scratch.path() / "r/report.html");
  fs::create_symlink("../precious", scratch.path() / "r/report.html");
  REQUIRE(in(scratch, {"report", "r"}).exit == 0);
  CHECK(read(scratch.path() / "precious") == "mine");
  CHECK(fs::is_regular_file(fs::symlink_status(scratch.path() / "r/report.html")));
  fs::remove(scratch.path() / "r/summary.json");
  fs::create_symlink("../precious", scratch.path() / "r/summary.json");
  REQUIRE(in(scratch, {"run", "s.yaml", "--out", "r", "--force"}).exit == 0);
  CHECK(read(scratch.path() / "precious") == "mine");
}

TEST_CASE("A page has the commands that made its data", "[cli]") {
  const TemporaryFolder scratch;
  scratch.write("a b.yaml", kSkewed);
  REQUIRE(in(scratch, {"run", "a b.yaml", "--set", "seed=3", "--audit", "2", "--out", "r", "--quiet"}).exit == 0);
  CHECK(document_in(scratch.path() / "r/report.html")["commands"] ==
        nlohmann::json{"moesim run 'a b.yaml' --set seed=3 --audit 2"});
  REQUIRE(in(scratch, {"compare", "a b.yaml", "--vary", "seed=1,2", "--set", "workload.steps=2", "--sort", "step",
                       "--jobs", "1", "--out", "c"})
              .exit == 0);
  const auto document = document_in(scratch.path() / "c/report.html");
  CHECK(document["commands"] ==
        nlohmann::json{"moesim compare 'a b.yaml' --vary seed=1,2 --set workload.steps=2 --sort step"});
  CHECK_THAT(document["runs"].dump(),
             Contains("[\"command\",\"moesim run 'a b.yaml' --set workload.steps=2 --set seed=2\"]"));
}

TEST_CASE("A missing file is refused in a comparison as in a run, and runs that were not done need none", "[cli]") {
  const TemporaryFolder scratch;
  scratch.write("s.yaml", kSkewed);
  REQUIRE(in(scratch, {"run", "s.yaml", "--out", "r"}).exit == 0);
  REQUIRE(in(scratch, {"compare", "s.yaml", "--vary", "layout.experts.ep=8,7", "--out", "c"}).exit == 0);
  CHECK(in(scratch, {"report", "r", "c", "--out", "whole.html"}).exit == 0);
  const auto runs = document_in(scratch.path() / "whole.html")["runs"];
  CHECK(runs.size() == 3);
  CHECK(runs[2]["status"] == "invalid");
  for (const std::string missing : {"r/links.csv", "c/01-s/links.csv", "r/run.json", "c/01-s/topology.svg"}) {
    fs::rename(scratch.path() / missing, scratch.path() / "away");
    const CommandResult result = in(scratch, {"report", "r", "c", "--out", "not.html"});
    CHECK(result.exit == 2);
    CHECK(result.err == "moesim: " + missing + ": got no such file, expected a whole result folder of moesim\n");
    fs::rename(scratch.path() / "away", scratch.path() / missing);
  }
  CHECK(!fs::exists(scratch.path() / "not.html"));
}

TEST_CASE("Every chart becomes an SVG and a PNG", "[cli]") {
  const TemporaryFolder scratch;
  scratch.write("s.yaml", kSkewed);
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
  scratch.write("s.yaml", kSkewed);
  REQUIRE(in(scratch, {"run", "s.yaml", "--out", "r"}).exit == 0);
  const CommandResult result =
      run_command({"plot", "r"}, {.folder = scratch.path().string(), .environment = {{"PATH", "/nowhere"}}});
  CHECK(result.exit == 77);
  CHECK_THAT(result.err, Contains("gnuplot is not installed; apt-get install gnuplot-nox"));
}
