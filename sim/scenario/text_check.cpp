#include "sim/scenario/text_check.hpp"

#include <fmt/format.h>

#include "models/units/error.hpp"
#include "models/units/utf8.hpp"

namespace moesim {
namespace {

unsigned byte_at(std::string_view text, std::size_t at) {
  return at < text.size() ? static_cast<unsigned char>(text[at]) : 0;
}

bool is_control(unsigned byte) {
  return (byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r') || byte == 0x7F;
}

/// The line has something other than a comment after its blanks.
bool has_content(std::string_view text, std::size_t at) {
  at = text.find_first_not_of(" \t", at);
  return at != std::string_view::npos && text[at] != '\n' && text[at] != '\r' && text[at] != '#';
}

bool is_json(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && (text[first] == '{' || text[first] == '[');
}

}  // namespace

void check_text(std::string_view text, const std::string& origin) {
  const bool tabs_indent = !is_json(text);
  int line = 1, column = 1;
  bool in_indentation = true;
  const auto refuse = [&](const std::string& found, const char* expected) {
    throw InputError{fmt::format("{}:{}:{}", origin, line, column), found, expected};
  };
  for (std::size_t at = 0; at < text.size();) {
    const unsigned byte = byte_at(text, at);
    const std::size_t length = utf8_length(text, at);
    if (length == 0) refuse(fmt::format("the byte 0x{:02X}", byte), "text in UTF-8");
    if (is_control(byte)) refuse(fmt::format("the control character 0x{:02X}", byte), "text");
    if (byte == '\t' && in_indentation && tabs_indent && has_content(text, at))
      refuse("a tab in the indentation", "spaces");
    in_indentation = byte == '\n' || (in_indentation && byte == ' ');
    line += byte == '\n' ? 1 : 0;
    column = byte == '\n' ? 1 : column + 1;
    at += length;
  }
}

std::string shown(std::string_view text) {
  constexpr std::size_t kShown = 60;
  std::string result{text.substr(0, kShown)};
  while (!result.empty() && text.size() > kShown && (static_cast<unsigned char>(text[result.size()]) & 0xC0) == 0x80)
    result.pop_back();  // do not cut a UTF-8 sequence in two
  for (char& c : result)
    if (is_control(static_cast<unsigned char>(c)) || c == '\n' || c == '\r' || c == '\t') c = ' ';
  return fmt::format("'{}{}'", result, text.size() > kShown ? "..." : "");
}

}  // namespace moesim
