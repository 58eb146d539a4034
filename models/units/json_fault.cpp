#include "models/units/json_fault.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <iterator>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace moesim {
namespace {

/// What the parser's own words mean; the first that its message holds counts.
constexpr std::array<std::pair<std::string_view, std::string_view>, 15> kMeanings{{
    {"number overflow", "a number that a double can hold"},
    {"missing closing quote", "a closing quote"},
    {"control character", "\\n, \\t or another escape for a control character"},
    {"UTF-8", "UTF-8"},
    {"backslash", "an escape that JSON knows"},
    {"\\u", "an escape that JSON knows"},
    {"invalid number", "a number"},
    {"; expected string literal", "a key in double quotes"},
    {"; expected end of input", "nothing behind the document"},
    {"; expected '}'", "',' or '}'"},
    {"; expected ']'", "',' or ']'"},
    {"; expected ':'", "':'"},
    {"; expected '[', '{', or a literal", "a value"},
    {"invalid literal", "a value: a number, a text in quotes, true, false or null"},
    {"while parsing value", "a value"},
}};

std::string expected_by(std::string_view message) {
  for (const auto& [words, meaning] : kMeanings)
    if (message.find(words) != std::string_view::npos) return std::string{meaning};
  return "valid JSON";
}

bool in_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-' || c == '+' || c == '.';
}

/// The word, number or mark around a byte.
std::pair<std::size_t, std::size_t> token_at(const std::string& text, std::size_t at) {
  std::size_t end = at + 1;
  if (!in_word(text[at])) return {at, end};
  while (at > 0 && in_word(text[at - 1])) --at;
  while (end < text.size() && in_word(text[end])) ++end;
  return {at, end};
}

}  // namespace

std::string line_and_column(const std::string& text, std::size_t offset) {
  const auto here = text.begin() + static_cast<std::ptrdiff_t>(std::min(offset, text.size()));
  const auto line = 1 + std::count(text.begin(), here, '\n');
  const auto newline = std::find(std::make_reverse_iterator(here), text.rend(), '\n');
  return fmt::format("{}:{}", line, 1 + (here - newline.base()));
}

std::string shown_piece(const std::string& whole) {
  constexpr std::size_t kLongest = 40;
  std::string text = whole.substr(0, kLongest);
  for (char& c : text)
    if (!std::isprint(static_cast<unsigned char>(c))) c = '?';
  return whole.size() > kLongest ? text + "..." : text;
}

InputError broken_json(const std::string& text, const std::string& origin, std::size_t read,
                       const std::string& message) {
  const std::string expected = expected_by(message);
  if (read > text.size() || text.empty())
    return {fmt::format("{}:{}", origin, line_and_column(text, text.size())), "the end of the file", expected};
  std::size_t at = read > 0 ? read - 1 : 0;
  const bool cut_short = message.find("invalid literal") != std::string::npos;  // "tru}": read with what follows it
  if (cut_short && at > 0 && !in_word(text[at])) --at;
  auto [begin, end] = token_at(text, at);
  if (message.find("unexpected string literal") != std::string::npos && at > 0) begin = text.rfind('"', at - 1);
  return {fmt::format("{}:{}", origin, line_and_column(text, begin)), shown_piece(text.substr(begin, end - begin)),
          expected};
}

}  // namespace moesim
