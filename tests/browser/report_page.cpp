#include "tests/browser/report_page.hpp"

#include <cstdio>
#include <fstream>
#include <iterator>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "tests/catch_compat.hpp"

namespace moesim::testing {
namespace {

// CSS pixels are 1/96 inch; the page leaves 12 mm on each side.
constexpr int kA4Width = 703, kA4Height = 1032;
constexpr int kA3LandscapeWidth = 1496;

std::string checks_script() {
  std::ifstream file{MOESIM_TEST_SOURCE_DIR "/tests/browser/checks.js"};
  return {std::istreambuf_iterator<char>{file}, {}};
}

void check_drawn(Chromium& browser) {
  CHECK(browser.evaluate("checks.not_drawn()").dump() == "[]");
  CHECK(browser.evaluate("checks.pale()").dump() == "[]");
  CHECK(browser.evaluate("checks.broken_images()") == 0);
  CHECK(browser.evaluate("checks.overflow()") == 0);
}

void check_no_problem(const Chromium& browser) {
  INFO(fmt::format("{}", fmt::join(browser.problems(), "\n")));
  CHECK(browser.problems().empty());
}

void check_paper(Chromium& browser, int width) {
  INFO("paper, " << width << " px");
  browser.set_media("print");
  browser.set_size(width, kA4Height);
  check_drawn(browser);
  CHECK(browser.evaluate("checks.higher_than(" + std::to_string(kA4Height) + ")").dump() == "[]");
  CHECK(browser.evaluate("checks.visible_buttons()") == 0);
  CHECK(browser.text("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)");
  check_no_problem(browser);
  browser.set_media("");
}

}  // namespace

Chromium* browser_or_skip() {
  static std::optional<Chromium> browser;
  if (browser) return &*browser;
  const std::string program = find_chromium();
  if (program.empty()) {
    std::fprintf(stderr, "SKIPPED: no Chromium is installed, so no report was opened (set MOESIM_CHROMIUM)\n");
    return nullptr;
  }
  return &browser.emplace(program);
}

void open_report(Chromium& browser, const std::string& file) {
  browser.open(file);
  browser.evaluate(checks_script() + "void 0");
}

void check_sound(Chromium& browser, const std::string& file) {
  open_report(browser, file);
  check_drawn(browser);
  check_no_problem(browser);
  for (const std::string& address : browser.requests()) {
    INFO(address.substr(0, 100));
    CHECK((address.rfind("file://", 0) == 0 || address.rfind("data:", 0) == 0));
  }
}

void check_everywhere(Chromium& browser, const std::string& file) {
  const auto check_screen = [&](int width, const std::string& scheme) {
    INFO(width << " px, " << scheme);
    browser.set_size(width, 900);
    browser.set_colour_scheme(scheme);
    check_sound(browser, file);
  };
  check_screen(390, "dark");
  check_screen(1280, "light");
  check_paper(browser, kA4Width);
  check_paper(browser, kA3LandscapeWidth);
}

}  // namespace moesim::testing
