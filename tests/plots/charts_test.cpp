// What the charts of a report say of a summary.

#include <nlohmann/json.hpp>

#include "plots/joint_charts.hpp"
#include "plots/load_charts.hpp"
#include "plots/report_document.hpp"
#include "plots/run_charts.hpp"
#include "plots/svg.hpp"
#include "tests/catch_compat.hpp"

using namespace moesim;
using Catch::Matchers::Contains;

namespace {

Summary summary_of(double tokens_per_s, double step_ms) {
  Summary summary;
  summary.gpus = 2;
  summary.nodes = 1;
  summary.output_tokens_per_s = summary.total_tokens_per_s = tokens_per_s;
  summary.step = {Seconds{step_ms * 1e-3}, Seconds{step_ms * 1e-3}, Seconds{step_ms * 1e-3}, Seconds{step_ms * 1e-3}};
  summary.critical_path[static_cast<std::size_t>(Cause::attention)] = 0.25;
  summary.critical_path[static_cast<std::size_t>(Cause::experts)] = 0.75;
  summary.memory.lines = {{"expert weights", "weights", Bytes{3.0 * (1 << 30)}, ""}};
  summary.memory.needed = Bytes{3.0 * (1 << 30)};
  summary.memory.capacity = Bytes{8.0 * (1 << 30)};
  summary.memory.fits = true;
  summary.kernel_source = "roofline";
  return summary;
}

ReportRun run_of(const std::string& label, double tokens_per_s, double step_ms) {
  ReportRun run;
  run.label = label;
  run.layout = "ep2";
  run.arithmetic = "2 = 1 node x 2";
  run.summary = summary_of(tokens_per_s, step_ms);
  run.memory = run.summary->memory.needed;
  run.memory_limit = run.summary->memory.capacity;
  return run;
}

const Chart& chart(const std::vector<Chart>& charts, const std::string& id) {
  for (const Chart& one : charts)
    if (one.id == id) return one;
  FAIL("no chart " << id);
  throw 0;
}

std::vector<std::string> ids(const std::vector<Chart>& charts) {
  std::vector<std::string> ids;
  for (const Chart& chart : charts) ids.push_back(chart.id);
  return ids;
}

std::vector<std::string> names(const TableChart& table) {
  std::vector<std::string> names;
  for (const auto& column : table.columns) names.push_back(column.name);
  return names;
}

std::vector<double> numbers(const std::vector<ChartValue>& values) {
  std::vector<double> numbers;
  for (const ChartValue& value : values) numbers.push_back(value.value_or(-1));
  return numbers;
}

}  // namespace

TEST_CASE("The load of experts is over the layer's mean, replicas together", "[plots]") {
  Summary summary = summary_of(1, 1);
  summary.gpu_table.resize(2);
  summary.gpu_table[0].name = "n0g0";
  summary.gpu_table[1].name = "n0g1";
  // layer 5: expert 0 has 30 + 10 on both GPUs, expert 1 has 0: mean 20
  summary.experts = {{5, 0, 0, 0, 30}, {5, 0, 1, 1, 10}, {5, 1, 2, 1, 0}};
  const Chart one = chart(load_charts(summary), "experts");
  const auto& map = std::get<HeatmapChart>(one.body);
  CHECK(map.rows == std::vector<std::string>{"5"});
  CHECK(numbers(map.views.at(0).values) == std::vector<double>{2, 0});
  CHECK(one.note.empty());
}

TEST_CASE("The load of GPUs is shown as placed and as experts in order would give", "[plots]") {
  Summary summary = summary_of(1, 1);
  summary.gpu_table.resize(2);
  summary.gpu_table[0].name = "n0g0";
  summary.gpu_table[1].name = "n0g1";
  // experts 0..3 have 40, 20, 10, 10; placed {0, 3} and {1, 2}: 50 and 30 of mean 40; in order {0, 1}: 60 and 20
  summary.experts = {{1, 0, 0, 0, 40}, {1, 3, 1, 0, 10}, {1, 1, 2, 1, 20}, {1, 2, 3, 1, 10}};
  const Chart one = chart(load_charts(summary), "gpu_load");
  const auto& map = std::get<HeatmapChart>(one.body);
  CHECK(map.columns == std::vector<std::string>{"n0g0", "n0g1"});
  CHECK(numbers(map.views.at(0).values) == std::vector<double>{1.25, 0.75});
  CHECK(numbers(map.views.at(1).values) == std::vector<double>{1.5, 0.5});
  CHECK_THAT(one.caption, Contains("1.25 as placed") && Contains("1.50 if the same loads"));
}

TEST_CASE("Experts cut over all GPUs have no load of GPUs, and a dense model no load at all", "[plots]") {
  Summary summary = summary_of(1, 1);
  CHECK(load_charts(summary).empty());
  summary.gpu_table.resize(2);
  summary.experts = {{0, 0, 0, -1, 5}, {0, 1, 1, -1, 5}};
  CHECK(ids(load_charts(summary)) == std::vector<std::string>{"experts"});
}

TEST_CASE("A heatmap too large for a screen shows every n-th layer and says so", "[plots]") {
  Summary summary = summary_of(1, 1);
  summary.gpu_table.resize(1);
  for (int layer = 0; layer < 90; ++layer)
    for (int expert = 0; expert < 512; ++expert) summary.experts.push_back({layer, expert, expert, 0, 1});
  const Chart one = chart(load_charts(summary), "experts");  // 46,080 cells: every 3rd layer, 30 rows
  const auto& map = std::get<HeatmapChart>(one.body);
  CHECK(map.rows.size() == 30);
  CHECK(map.rows.at(1) == "3");
  CHECK(map.views.at(0).values.size() == 30 * 512);
  CHECK(one.note == "shows every 3rd of the MoE layers; all are in experts.csv");
}

TEST_CASE("The Pareto front has the runs that no other beats in both", "[plots]") {
  // b is slower and less than a; c is slower but more; d equals a
  const auto charts =
      joint_charts({run_of("a", 100, 10), run_of("b", 90, 20), run_of("c", 300, 30), run_of("d", 100, 10)});
  const auto& pareto = std::get<ParetoChart>(chart(charts, "pareto").body);
  REQUIRE(pareto.points.size() == 4);
  CHECK(pareto.points[0].on_front);
  CHECK(!pareto.points[1].on_front);
  CHECK(pareto.points[2].on_front);
  CHECK(pareto.points[3].on_front);
  CHECK(pareto.points[2].y == 150);  // per GPU
  CHECK(!pareto.limit);
}

TEST_CASE("The limit of the front is the SLO that all runs share", "[plots]") {
  ReportRun a = run_of("a", 100, 10), b = run_of("b", 90, 20);
  a.summary->slo = b.summary->slo = {{"tpot", Seconds{0.05}, Seconds{0.01}, true}};
  auto charts = joint_charts({a, b});
  REQUIRE(std::get<ParetoChart>(chart(charts, "pareto").body).limit);
  CHECK(std::get<ParetoChart>(chart(charts, "pareto").body).limit->value == Approx(50));
  b.summary->slo[0].limit = Seconds{0.06};
  charts = joint_charts({a, b});
  CHECK(!std::get<ParetoChart>(chart(charts, "pareto").body).limit);
}

TEST_CASE("A column that tells no runs apart is said once, and a run that is not done stays with its reason",
          "[plots]") {
  ReportRun misfit;
  misfit.label = "c";
  misfit.status = "infeasible";
  misfit.reason = "needs 9 GiB";
  misfit.memory = Bytes{9.0 * (1 << 30)};
  misfit.memory_limit = Bytes{8.0 * (1 << 30)};
  const auto charts = joint_charts({run_of("a", 100, 10), run_of("b", 200, 20), misfit});
  const Chart& comparison = chart(charts, "comparison");
  const auto& table = std::get<TableChart>(comparison.body);
  CHECK(names(table) == std::vector<std::string>{"run", "status", "throughput", "to first", "to best", "step", "memory",
                                                 "GPU load", "bound by", "uneven load costs", "step p99"});
  CHECK(comparison.note == "the same in all: GPUs: 2 = 1 node x 2; layout: ep2; kernel times: roofline");
  CHECK(std::get<double>(table.rows.at(1).at(3)) == 2);
  CHECK(std::get<double>(table.rows.at(0).at(4)) == 0.5);
  CHECK(std::get<std::string>(table.rows.at(0).at(8)) == "experts 75 %");
  CHECK(std::holds_alternative<std::monostate>(table.rows.at(2).at(2)));
  CHECK(std::get<std::string>(table.rows.at(0).at(1)) == "done");
  CHECK(std::get<std::string>(table.rows.at(2).at(1)) == "infeasible: needs 9 GiB");
  const auto& memory = std::get<StackedChart>(chart(charts, "memory").body);
  CHECK(memory.categories == std::vector<std::string>{"a", "b", "c"});
  CHECK(memory.series.back().name == "does not fit");
  CHECK(numbers(memory.series.back().values) == std::vector<double>{-1, -1, 9});
  CHECK(memory.limit->value == 8);
  const auto& path = std::get<StackedChart>(chart(charts, "critical_path").body);
  CHECK(path.categories == std::vector<std::string>{"a", "b"});
  REQUIRE(path.series.size() == 2);  // causes without time are left out
  CHECK(numbers(path.series[1].values) == std::vector<double>{7.5, 15});
}

TEST_CASE("The busiest twenty links are shown and the others counted", "[plots]") {
  Summary summary = summary_of(1, 1);
  summary.steps.resize(2);
  for (int link = 0; link < 25; ++link)
    summary.links.push_back({"link" + std::to_string(link), "nic", Bytes{1e9}, 0.01 * link, 0.5});
  const auto charts = run_charts(summary, "<svg/>");
  const Chart& links = chart(charts, "links");
  const auto& table = std::get<TableChart>(links.body);
  REQUIRE(table.rows.size() == 20);
  CHECK(std::get<std::string>(table.rows[0][0]) == "link24");
  CHECK(std::get<double>(table.rows[0][2]) == Approx(0.5));  // 1 GB over 2 steps
  CHECK(links.note == "the 20 busiest of 25 links with traffic; all are in links.csv");
  const auto& tiers = std::get<StackedChart>(chart(charts, "tiers").body);
  CHECK(*tiers.series.at(0).values.at(0) == Approx(12.5));
  CHECK(std::get<DrawingChart>(chart(charts, "topology").body).svg == "<svg/>");
}

TEST_CASE("A report's document holds what plots/README.md lists", "[plots]") {
  const bool many = GENERATE(false, true);
  std::vector<ReportRun> runs{run_of("<b>a</b>", 100, 10)};
  if (many) runs.push_back(run_of("b", 200, 20));
  const auto json = nlohmann::json::parse(report_document(runs).json);
  CHECK(json["kind"] == (many ? "comparison" : "run"));
  for (const char* key :
       {"title", "subtitle", "question", "version", "tiles", "charts", "runs", "commands", "glossary"})
    CHECK(json.contains(key));
  CHECK(json["runs"][0]["label"] == "<b>a</b>");
  for (const auto& list : {json["charts"], json["runs"][0]["charts"]})
    for (const auto& one : list)
      for (const char* key : {"id", "title", "caption", "note", "command", "kind"}) CHECK(one.contains(key));
  for (const auto& tile : json["tiles"])
    for (const char* key : {"label", "value", "detail", "verdict"}) CHECK(tile[key].is_string());
}

TEST_CASE("A document of many large runs leaves heatmaps out and says how to see them", "[plots]") {
  ReportRun run = run_of("a", 100, 10);
  run.folder = "01-a";
  run.summary->gpu_table.resize(2);
  for (int layer = 0; layer < 60; ++layer)
    for (int expert = 0; expert < 320; ++expert)
      run.summary->experts.push_back({layer, expert, expert, expert % 2, 1000 + 7 * expert + layer});
  const std::vector<ReportRun> runs(40, run);
  const ReportDocument document = report_document(runs);
  CHECK(document.json.size() < 2'300'000);
  const auto json = nlohmann::json::parse(document.json);
  CHECK(json["runs"][0]["charts"][1]["kind"] == "heatmap");
  const auto& last = json["runs"][39]["charts"][1];
  CHECK(last["kind"] == "table");
  CHECK(last["note"] == "left out to keep this report small; moesim report 01-a shows it");
}

TEST_CASE("Runs of different models say so in a column and in words", "[plots]") {
  std::vector<ReportRun> runs{run_of("a", 100, 10), run_of("b", 200, 20)};
  runs[0].model = runs[1].model = "mixtral-8x7b";
  CHECK_THAT(chart(joint_charts(runs), "comparison").caption, !Contains("different models"));
  CHECK_THAT(chart(joint_charts(runs), "comparison").note, Contains("model: mixtral-8x7b"));
  runs[1].model = "deepseek-v3";
  const auto charts = joint_charts(runs);
  const auto& table = std::get<TableChart>(chart(charts, "comparison").body);
  REQUIRE(names(table).at(1) == "model");
  CHECK(std::get<std::string>(table.rows.at(1).at(1)) == "deepseek-v3");
  CHECK_THAT(chart(charts, "comparison").caption, Contains("different models"));
}

TEST_CASE("Remedies of a run that does not fit are no assumptions", "[plots]") {
  ReportRun misfit;
  misfit.label = "c";
  misfit.status = "infeasible";
  misfit.reason = "needs 9 GiB";
  misfit.remedies = {"more GPUs"};
  const auto json = nlohmann::json::parse(report_document({run_of("a", 100, 10), misfit}, {"moesim compare x"}).json);
  CHECK(json["runs"][1]["remedies"] == nlohmann::json{"more GPUs"});
  CHECK(json["runs"][1]["notes"].empty());
  CHECK(json["commands"] == nlohmann::json{"moesim compare x"});
}

TEST_CASE("A folder's name in a command is fit for a shell", "[plots]") {
  ReportRun run = run_of("a", 100, 10);
  run.folder = "it's; rm -r x";
  const auto json = nlohmann::json::parse(report_document({run, run_of("b", 1, 1)}).json);
  CHECK(json["runs"][0]["charts"][0]["command"] == "moesim report 'it'\\''s; rm -r x'");
}

TEST_CASE("Only what drawings here are made of may stand in one", "[plots]") {
  Svg svg;
  svg.rect({1, 2, 3, 4}, "#fff");
  svg.line(0, 0, 1, 1, "#000", 1);
  svg.curve(0, 0, 1, 1, "#000", 1);
  svg.arc(0, 0, 1, 1, 2, "#000", 1);
  svg.text(0, 0, "a<b> \"c\"", {13, "#000", "start", true});
  const std::string good = svg.document(10, 10, "<t>", "d & e");
  CHECK(foreign_to_drawing(good) == "");
  const auto with = [&](const std::string& more) {
    std::string text = good;
    return foreign_to_drawing(text.insert(text.find("<title>"), more));
  };
  CHECK(with("<script>alert(1)</script>") == "the element 'script'");
  CHECK(with("<rect onload=\"alert(1)\"/>") == "the attribute 'onload'");
  CHECK(with("<rect fill=\"url(http://x)\"/>") == "an address");
  CHECK(with("<a href=\"http://x\">") == "the element 'a'");
  CHECK(with("<!DOCTYPE x>") == "the element ''");
  CHECK(foreign_to_drawing(good.substr(0, good.size() / 2)) == "a part of a drawing, or none");
  CHECK(foreign_to_drawing("") == "a part of a drawing, or none");
}
