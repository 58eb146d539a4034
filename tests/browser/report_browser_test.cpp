// Reports as people see them: made by the command, opened in a real browser.

#include <chrono>
#include <cstdio>
#include <fstream>

#include <fmt/format.h>

#include "plots/report_html.hpp"
#include "tests/browser/report_page.hpp"
#include "tests/catch_compat.hpp"
#include "tests/cli/run_command.hpp"
#include "tests/temporary_folder.hpp"

using namespace moesim;
using namespace moesim::testing;
using Json = nlohmann::json;
namespace fs = std::filesystem;

namespace {

std::string scenario(const std::string& name) {
  return std::string{MOESIM_TEST_SOURCE_DIR "/scenarios/"} + name + ".yaml";
}

/// The report of a command that writes results into the folder.
std::string report_of(std::vector<std::string> command, const TemporaryFolder& folder) {
  command.insert(command.end(), {"--out", folder.path("out"), "--quiet"});
  const CommandResult result = run_command(command);
  INFO(result.out << result.err);
  REQUIRE(result.exit == 0);
  const std::string report = folder.path("out/report.html");
  REQUIRE(fs::exists(report));
  CHECK(fs::file_size(report) <= 3'000'000);
  return report;
}

/// Seconds until the charts in view are drawn.
double opening_time(Chromium& browser, const std::string& report) {
  const auto start = std::chrono::steady_clock::now();
  browser.open(report);
  browser.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))");
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void check_opens_quickly(Chromium& browser, const std::string& report) {
  browser.set_size(1280, 900);
  const double took = opening_time(browser, report);
  std::fprintf(stderr, "%s of %.2f MB opens in %.2f s\n", fs::path{report}.filename().c_str(),
               static_cast<double>(fs::file_size(report)) / 1e6, took);
  CHECK(took <= 5.0);  // 2.5 s on an idle machine of two cores
}

std::string file_text(const std::string& path) {
  std::ifstream file{path, std::ios::binary};
  REQUIRE(file);
  return {std::istreambuf_iterator<char>{file}, {}};
}

/// The page of a document with a chart of each kind; the text stands wherever a user's words may stand.
std::string page_of(const std::string& text) {
  std::string document = file_text(MOESIM_TEST_SOURCE_DIR "/tests/browser/one_of_each.json");
  const std::string mark = "\"TEXT\"", value = Json(text).dump();
  for (auto at = document.find(mark); at != std::string::npos; at = document.find(mark, at + value.size()))
    document.replace(at, mark.size(), value);
  return report_html(document, text);
}

/// What a click on "Download CSV" of a chart saves.
std::string downloaded(Chromium& browser, const std::string& chart, const std::string& file) {
  browser.evaluate("document.querySelector('[data-chart=\"" + chart + "\"] .save').click()");
  browser.wait_for_download();
  return file_text(file);
}

}  // namespace

TEST_CASE("The report of the quickstart is sound at every width and on paper", "[browser]") {
  Chromium* browser = browser_or_skip();
  if (browser == nullptr) return;
  const TemporaryFolder folder;
  const std::string report = report_of({"run", scenario("quickstart")}, folder);
  check_opens_quickly(*browser, report);
  check_everywhere(*browser, report);
}

TEST_CASE("The report of a run on 320 GPUs is sound at every width and on paper", "[browser]") {
  Chromium* browser = browser_or_skip();
  if (browser == nullptr) return;
  const TemporaryFolder folder;
  const std::string report = report_of(
      {"run", scenario("deepseek_v3_decode_ep144"), "--set", "cluster.nodes=40", "--set", "layout.attention.dp=320",
       "--set", "layout.experts.ep=320", "--set", "placement.redundant=64", "--set", "workload.steps=3"},
      folder);
  check_opens_quickly(*browser, report);
  check_everywhere(*browser, report);
}

TEST_CASE("The report of a comparison of 12 layouts is sound at every width and on paper", "[browser]") {
  Chromium* browser = browser_or_skip();
  if (browser == nullptr) return;
  const TemporaryFolder folder;
  const std::string report =
      report_of({"compare", scenario("deepseek_v3_decode_ep32"), "--vary", "placement.policy=linear,lpt,eplb", "--vary",
                 "workload.tokens_per_gpu=16,32,64,128", "--set", "placement.redundant=0", "--set", "workload.steps=3",
                 "--set", "placement.redundant=0"},
                folder);
  check_opens_quickly(*browser, report);
  check_everywhere(*browser, report);
  SECTION("each run can be chosen") {
    browser->set_size(1280, 900);
    open_report(*browser, report);
    REQUIRE(browser->evaluate("document.querySelectorAll('#run option').length") == 12);
    const std::string first = browser->text("document.querySelector('.run-name').textContent");
    browser->evaluate("document.querySelector('[aria-label=\"next run\"]').click()");
    CHECK(browser->text("document.querySelector('.run-name').textContent") != first);
    CHECK(browser->evaluate("checks.not_drawn()").dump() == "[]");
    CHECK(browser->problems().empty());
  }
}

TEST_CASE("A report prints all its charts, seen or not", "[browser]") {
  Chromium* browser = browser_or_skip();
  if (browser == nullptr) return;
  const TemporaryFolder folder;
  browser->set_size(1280, 100);
  open_report(*browser, folder.write("page.html", page_of("x")));
  REQUIRE(browser->evaluate("document.querySelectorAll('canvas').length") < 3);
  browser->evaluate(
      "addEventListener('afterprint', () => { window.printed = document.querySelectorAll('canvas').length; })");
  const std::string pdf = browser->print_to_pdf({{"paperWidth", 8.27}, {"paperHeight", 11.69}});
  CHECK(pdf.rfind("%PDF", 0) == 0);
  CHECK(browser->evaluate("window.printed") == 3);  // the bars, the heatmap and the Pareto front
  CHECK(browser->problems().empty());
}

TEST_CASE("A table sorts by click and by key with undefined values last", "[browser]") {
  Chromium* browser = browser_or_skip();
  if (browser == nullptr) return;
  const TemporaryFolder folder;
  open_report(*browser, folder.write("page.html", page_of("plain")));
  const auto times = [&] { return browser->evaluate("checks.column('table', 1)").dump(); };
  const auto order = [&] { return browser->text("checks.header('table', 1).getAttribute('aria-sort')"); };
  CHECK(times() == R"(["10.5","-","9.0","100.0"])");
  CHECK(order() == "none");
  browser->evaluate("checks.header('table', 1).querySelector('button').click()");
  CHECK(times() == R"(["9.0","10.5","100.0","-"])");  // low is better: the best first
  CHECK(order() == "ascending");
  browser->press_enter();  // the button keeps the focus
  CHECK(times() == R"(["100.0","10.5","9.0","-"])");
  CHECK(order() == "descending");
  browser->evaluate("checks.header('table', 0).querySelector('button').click()");
  CHECK(times() == R"(["9.0","10.5","100.0","-"])");  // a, b, c, plain
}

TEST_CASE("The saved CSV of each chart holds its numbers", "[browser]") {
  Chromium* browser = browser_or_skip();
  if (browser == nullptr) return;
  const TemporaryFolder folder;
  browser->save_downloads_to(folder.path().string());
  open_report(*browser, folder.write("page.html", page_of("x")));
  CHECK(downloaded(*browser, "table", folder.path("x-table.csv")) ==
        "x,time [ms]\r\n\"b, \"\"quoted\"\"\",10.5\r\nx,\r\na,9\r\nc,100\r\n");
  CHECK(downloaded(*browser, "pareto", folder.path("x-pareto.csv")) ==
        "label,x [ms],x [tok/s],on_front\r\nx,1,5,yes\r\nq,2,4,no\r\n");
  CHECK(downloaded(*browser, "stacked", folder.path("x-x-stacked.csv")) ==
        "name,x [x],experts [x]\r\nx,1,2\r\ny,,3\r\n");
  CHECK(downloaded(*browser, "heatmap", folder.path("x-x-heatmap.csv")) ==
        "view,layer,expert,value [x]\r\nx,0,e0,1\r\nx,0,e1,2\r\nx,x,e0,\r\nx,x,e1,4\r\n");
  CHECK(downloaded(*browser, "drawing", folder.path("x-x-drawing.svg")).rfind("<svg", 0) == 0);
  CHECK(browser->problems().empty());
}

TEST_CASE("A saved CSV holds no formula", "[browser]") {
  Chromium* browser = browser_or_skip();
  if (browser == nullptr) return;
  const TemporaryFolder folder;
  browser->save_downloads_to(folder.path().string());
  open_report(*browser, folder.write("page.html", page_of("=1+1")));
  CHECK(downloaded(*browser, "table", folder.path("1_1-table.csv")) ==
        "'=1+1,time [ms]\r\n\"b, \"\"quoted\"\"\",10.5\r\n'=1+1,\r\na,9\r\nc,100\r\n");
  open_report(*browser, folder.write("page.html", page_of("-1")));
  CHECK(downloaded(*browser, "table", folder.path("-1-table.csv")).rfind("-1,time [ms]\r\n", 0) == 0);  // a number
}

TEST_CASE("Why a run is not done stands in view beside its name and with what would help", "[browser]") {
  Chromium* browser = browser_or_skip();
  if (browser == nullptr) return;
  const TemporaryFolder folder;
  const std::string report = report_of(
      {"compare", scenario("quickstart"), "--vary", "workload.tokens_per_gpu=64,4000", "--set", "workload.steps=2"},
      folder);
  for (const int width : {390, 1280}) {
    INFO(width);
    browser->set_size(width, 900);
    open_report(*browser, report);
    const std::string cell = "document.querySelectorAll('[data-chart=\"comparison\"] tbody tr')[1].cells[1]";
    CHECK(browser->text(cell + ".textContent").rfind("infeasible: mixtral-8x7b does not fit", 0) == 0);
    CHECK(browser->evaluate(cell + ".getBoundingClientRect().right <= innerWidth") == true);
    browser->evaluate("document.querySelector('[aria-label=\"next run\"]').click()");
    CHECK(browser->evaluate("document.querySelectorAll('.reason .notes li').length") == 3);
    CHECK(browser->evaluate("document.querySelectorAll('.origin code').length") == 1);
  }
  CHECK(browser->evaluate("getComputedStyle(document.querySelector('.paper-only')).display") == "none");
  browser->set_media("print");
  CHECK(browser->evaluate("getComputedStyle(document.querySelector('.paper-only')).display") == "block");
  browser->set_media("");
  CHECK(browser->problems().empty());
}

TEST_CASE("Charts follow a window that gets narrower", "[browser]") {
  Chromium* browser = browser_or_skip();
  if (browser == nullptr) return;
  const TemporaryFolder folder;
  const std::string report = report_of(
      {"compare", scenario("quickstart"), "--vary", "workload.tokens_per_gpu=16,64", "--set", "workload.steps=2"},
      folder);
  // A headless Chromium lays a page out 500 px wide before it takes a picture of 390 px.
  browser->set_size(500, 900);
  open_report(*browser, report);
  REQUIRE(browser->evaluate("checks.not_drawn()") == Json::array());
  const std::string widest =
      "Math.max(...Array.from(document.querySelectorAll('.plot canvas'), (canvas) => "
      "canvas.getBoundingClientRect().width))";
  const double wide = browser->evaluate(widest).get<double>();
  browser->set_size(390, 900);
  browser->evaluate("checks.frame().then(() => checks.frame())");
  CHECK(browser->evaluate(widest).get<double>() <= wide - 100);
  CHECK(browser->evaluate("Array.from(document.querySelectorAll('.plot canvas')).filter((canvas) => "
                          "canvas.getBoundingClientRect().right > innerWidth).length") == 0);
  CHECK(browser->problems().empty());
}

TEST_CASE("Hostile names stay text", "[browser]") {
  Chromium* browser = browser_or_skip();
  if (browser == nullptr) return;
  const std::string text =
      GENERATE(std::string{"</script><script>document.title='owned'</script><img src=x onerror=alert(1)>\"'&"},
               std::string(300, 'L'), std::string{"深度求索混合专家模型\n{{app}} {a|b} \u202e"});
  INFO(text);
  const TemporaryFolder folder;
  const std::string page = folder.write("page.html", page_of(text));
  check_everywhere(*browser, page);
  CHECK(browser->evaluate("document.title.trim().replace(/\\s+/g, ' ')") ==
        browser->evaluate(Json(text).dump() + ".trim().replace(/\\s+/g, ' ')"));
  CHECK(browser->text("document.querySelector('h1').textContent") == text);
  CHECK(browser->evaluate("document.scripts.length") == 3);
  CHECK(browser->evaluate("document.querySelectorAll('main script, main img:not([src^=\"data:\"])').length") == 0);
}

TEST_CASE("A hostile question in a scenario stays text in its report", "[browser]") {
  Chromium* browser = browser_or_skip();
  if (browser == nullptr) return;
  const TemporaryFolder folder;
  const std::string question = "<script>alert(1)</script> \"'& 深度求索 </title>";
  const std::string report = report_of(
      {"run", scenario("quickstart"), "--set", "workload.steps=2", "--set", "question=" + Json(question).dump()},
      folder);
  check_sound(*browser, report);
  CHECK(browser->text("document.querySelector('.question').textContent") == question);
}

TEST_CASE("The checks find a page that is not sound", "[browser]") {
  Chromium* browser = browser_or_skip();
  if (browser == nullptr) return;
  const TemporaryFolder folder;
  const std::string page =
      folder.write("bad.html",
                   "<!doctype html><body><div data-chart='c'><div class='plot'><canvas></canvas></div></div>"
                   "<div data-chart='d'><div class='plot'></div></div><div style='width:3000px'>wide</div>"
                   "<img src='http://127.0.0.1:9/x.png'><script>console.error('bad'); throw 1</script>");
  browser->set_size(390, 900);
  open_report(*browser, page);
  CHECK(browser->evaluate("checks.not_drawn()") == Json{"d"});
  CHECK(browser->evaluate("checks.pale()") == Json{"c", "d"});
  CHECK(browser->evaluate("checks.broken_images()") == 1);
  CHECK(browser->evaluate("checks.overflow()") > 2000);
  CHECK(browser->problems().size() >= 2);
  CHECK(browser->requests().back() == "http://127.0.0.1:9/x.png");
}

TEST_CASE("A report whose script was changed does not run it", "[browser]") {
  Chromium* browser = browser_or_skip();
  if (browser == nullptr) return;
  const TemporaryFolder folder;
  std::string page = page_of("x");
  const auto at = page.find("build(JSON.parse");
  REQUIRE(at != std::string::npos);
  page.insert(at, "document.title = 'owned';");
  browser->open(folder.write("changed.html", page));
  CHECK(browser->text("document.title") == "x");
  REQUIRE(browser->problems().size() == 1);
  CHECK(browser->problems().front().find("Content Security Policy") != std::string::npos);
}
