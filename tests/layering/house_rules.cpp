#include <algorithm>
#include <regex>

#include <fmt/format.h>

#include "tests/layering/layering.hpp"

namespace moesim::layering {
namespace {

constexpr std::size_t kMaxLines = 300;
constexpr std::size_t kMaxWidth = 120;

std::size_t characters(std::string_view utf8) {
  return static_cast<std::size_t>(
      std::count_if(utf8.begin(), utf8.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

/// "double latency", "double total_bytes", "double bytes_sent": an amount with a unit. Members (name_) are no
/// signature, and a name that says it is a ratio is a plain number.
bool has_bare_amount(const std::string& line) {
  static const std::string words = "(?:bandwidth|bytes|seconds|latency|flops|time|duration)";
  static const std::regex amount{R"(\bdouble\s+&?((?:\w+_)?)" + words + "|" + words + R"(_\w*[^\W_])\b)"};
  static const std::regex ratio{R"((ratio|share|factor|fraction|efficiency))"};
  for (std::sregex_iterator match{line.begin(), line.end(), amount}, end; match != end; ++match)
    if (const std::string name = (*match)[1]; !std::regex_search(name, ratio)) return true;
  return false;
}

bool prints_or_exits(const std::string& line) {
  static const std::regex call{
      R"(\bstd::(cout|cerr|clog)\b|\bfmt::print\(|(^|[^\w.>:])(std::)?(exit|abort|printf|puts)\()"};
  return std::regex_search(line, call);
}

bool draws_from_std(const std::string& line) {
  static const std::regex random{R"(\bstd::(\w+_distribution|mt19937\w*|default_random_engine|random_device|rand)\b)"};
  return std::regex_search(line, random);
}

/// The rules that hold per line, with the text of the first one a line breaks.
std::string line_violation(const Source& source, const std::string& line, const std::string& code) {
  const std::string module = module_of(source.path);
  const bool program = source.path.ends_with(".cu");  // a measuring program of its own, not linked into the library
  const bool library = module != "tests" && module != "sim/cli" && !program;
  if (characters(line) > kMaxWidth) return fmt::format("width: {} characters, at most {}", characters(line), kMaxWidth);
  if (is_header(source.path) && module != "tests") {
    if (code.starts_with("using namespace")) return "using namespace in a header";
    if (has_bare_amount(code)) return "bare double for a physical amount";
  }
  if (library && prints_or_exits(code)) return "prints or exits in the library";
  if (draws_from_std(code)) return "std:: random numbers differ between libraries: models/units/random.hpp";
  return {};
}

}  // namespace

std::vector<std::string> house_violations(const Source& source) {
  std::vector<std::string> found;
  const auto report = [&](std::size_t line, const std::string& what) {
    if (!what.empty() && !excepted(source.path, what))
      found.push_back(fmt::format("{}:{}: {}", source.path, line, what));
  };
  const auto lines = lines_of(source.text), code = code_lines(source.text);
  if (lines.size() > kMaxLines)
    report(lines.size(), fmt::format("length: {} lines, at most {}", lines.size(), kMaxLines));
  if (is_header(source.path) && std::find(lines.begin(), lines.end(), "#pragma once") == lines.end())
    report(1, "a header without #pragma once");
  for (std::size_t i = 0; i < lines.size(); ++i) report(i + 1, line_violation(source, lines[i], code[i]));
  return found;
}

}  // namespace moesim::layering
