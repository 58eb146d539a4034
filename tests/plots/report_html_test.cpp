#include "plots/report_html.hpp"

#include <fstream>
#include <iterator>

#include <nlohmann/json.hpp>

#include "tests/catch_compat.hpp"

using namespace moesim;
using Json = nlohmann::json;

namespace {

std::string between(const std::string& text, const std::string& before, const std::string& after) {
  const auto start = text.find(before);
  REQUIRE(start != std::string::npos);
  const auto end = text.find(after, start + before.size());
  REQUIRE(end != std::string::npos);
  return text.substr(start + before.size(), end - start - before.size());
}

std::string document_of(const std::string& page) {
  return between(page, "<script type=\"application/json\" id=\"document\">", "</script>");
}

std::string policy_of(const std::string& page) {
  return between(page, "Content-Security-Policy\" content=\"", "\">");
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) ++found;
  return found;
}

std::string file_text(const char* path) {
  std::ifstream file{std::string{MOESIM_TEST_SOURCE_DIR "/plots/"} + path, std::ios::binary};
  REQUIRE(file);
  return {std::istreambuf_iterator<char>{file}, {}};
}

}  // namespace

TEST_CASE("The document in a page reads back as it was", "[plots]") {
  const Json document{{"title", "a"}, {"runs", Json::array({1.5, nullptr, "µ, 深度求索, \u2028"})}};
  CHECK(Json::parse(document_of(report_html(document.dump(), "a"))) == document);
}

TEST_CASE("Markup in a document ends no script and opens no comment", "[plots]") {
  const std::string hostile = "</script><script>alert(1)</script><!-- {{app}} {{echarts}} \"'&";
  const std::string page = report_html(Json{{"title", hostile}}.dump(), "x");
  CHECK(Json::parse(document_of(page)).at("title") == hostile);
  CHECK(document_of(page).find('<') == std::string::npos);
  CHECK(count(page, "<script") == 3);  // the document, ECharts, the page's own
  CHECK(count(page, "</script") == 3);
}

TEST_CASE("A title is text and not markup", "[plots]") {
  const std::string page = report_html("{}", "</title><b>\"&");
  CHECK(between(page, "<title>", "</title>") == "&lt;/title&gt;&lt;b&gt;&quot;&amp;");
}

TEST_CASE("The page's policy allows its two scripts and nothing from outside", "[plots]") {
  const std::string policy = policy_of(report_html("{}", "x"));
  CHECK(policy.rfind("default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-", 0) == 0);
  CHECK(count(policy, "'sha256-") == 2);
  CHECK(between(policy, "script-src ", ";").find("unsafe") == std::string::npos);
  // A SHA-256 is 32 bytes: 43 letters and one '='.
  CHECK(between(policy, "'sha256-", "'").size() == 44);
  CHECK(between(policy, "'sha256-", "'").back() == '=');
}

TEST_CASE("The page holds the files of the checkout as they are", "[plots]") {
  const std::string page = report_html("{}", "x");
  CHECK(page.find(file_text("report/report.css")) != std::string::npos);
  CHECK(page.find(file_text("vendor/echarts.min.js")) != std::string::npos);
  for (const char* part :
       {"dom", "numbers", "theme", "stacked", "heatmap", "pareto", "table", "plot", "card", "page"}) {
    INFO(part);
    CHECK(page.find(file_text(("report/" + std::string{part} + ".js").c_str())) != std::string::npos);
  }
}

TEST_CASE("The page names no address to fetch from", "[plots]") {
  const std::string page = report_html("{}", "x");
  for (const char* start : {"https://", "//cdn", "src=\"", "@import", "url("}) {
    INFO(start);
    CHECK(page.find(start) == std::string::npos);
  }
}

TEST_CASE("A page without data stays under one megabyte", "[plots]") {
  CHECK(report_html("{}", "x").size() < 1'000'000);
}
