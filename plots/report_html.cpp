#include "plots/report_html.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "plots/svg.hpp"

// MOESIM_ASSET(name, file) makes name_begin and name_end the bounds of the file's bytes in the binary.
// The paths, and the hashes of the scripts, come from plots/CMakeLists.txt.
#define MOESIM_ASSET(name, file)                                            \
  asm(".pushsection .rodata\n.globl " #name "_begin, " #name "_end\n" #name \
      "_begin:\n"                                                           \
      ".incbin \"" file "\"\n" #name                                        \
      "_end:\n.byte 0\n"                                                    \
      ".popsection\n");                                                     \
  extern "C" const char name##_begin[], name##_end[];

MOESIM_ASSET(moesim_report_page, MOESIM_REPORT_PAGE)
MOESIM_ASSET(moesim_report_style, MOESIM_REPORT_STYLE)
MOESIM_ASSET(moesim_report_echarts, MOESIM_REPORT_ECHARTS)
MOESIM_ASSET(moesim_report_app, MOESIM_REPORT_APP)

namespace moesim {
namespace {

std::string_view between(const char* begin, const char* end) {
  return {begin, static_cast<std::size_t>(end - begin)};
}

int digit(char hex) {
  return hex <= '9' ? hex - '0' : hex - 'a' + 10;
}

/// Base64 (RFC 4648) of bytes written as lower case hex digits, a multiple of two.
std::string base64_of_hex(std::string_view hex) {
  constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t at = 0; at < hex.size(); at += 6) {  // three bytes make four letters
    unsigned bits = 0;
    for (std::size_t i = at; i < at + 6; ++i)
      bits = bits << 4 | (i < hex.size() ? static_cast<unsigned>(digit(hex[i])) : 0);
    const std::size_t used = (std::min(hex.size() - at, std::size_t{6}) * 4 + 5) / 6;
    for (std::size_t i = 0; i < 4; ++i) text += i < used ? letters[bits >> (18 - 6 * i) & 63] : '=';
  }
  return text;
}

std::string script_hashes() {
  return fmt::format("'sha256-{}' 'sha256-{}'", base64_of_hex(MOESIM_REPORT_ECHARTS_SHA256),
                     base64_of_hex(MOESIM_REPORT_APP_SHA256));
}

/// JSON that neither ends the script element it stands in nor opens a comment there.
std::string json_in_script(std::string_view json) {
  std::string safe;
  safe.reserve(json.size() + json.size() / 50);
  for (char c : json)
    if (c == '<')
      safe += "\\u003c";
    else
      safe += c;
  return safe;
}

}  // namespace

std::string report_html(std::string_view document_json, std::string_view title) {
  const std::pair<std::string_view, std::string> values[] = {
      {"{{script_hashes}}", script_hashes()},
      {"{{title}}", escaped(title)},
      {"{{style}}", std::string{between(moesim_report_style_begin, moesim_report_style_end)}},
      {"{{document}}", json_in_script(document_json)},
      {"{{echarts}}", std::string{between(moesim_report_echarts_begin, moesim_report_echarts_end)}},
      {"{{app}}", std::string{between(moesim_report_app_begin, moesim_report_app_end)}},
  };
  std::string page;
  std::string_view rest = between(moesim_report_page_begin, moesim_report_page_end);
  for (const auto& [mark, value] : values) {  // in the order of the page
    const std::size_t at = rest.find(mark);
    page += rest.substr(0, at);
    page += value;
    rest.remove_prefix(at + mark.size());
  }
  return page += rest;
}

}  // namespace moesim
