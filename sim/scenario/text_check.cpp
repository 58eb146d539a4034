#include "sim/scenario/text_check.hpp"

#include <fmt/format.h>

#include "models/units/error.hpp"

namespace moesim {
namespace {

unsigned byte_at(std::string_view text, std::size_t at) {
  return at < text.size() ? static_cast<unsigned char>(text[at]) : 0;
}

/// Bytes of the UTF-8 sequence at `at`, 0 when it is none. Overlong forms, surrogates and what is beyond U+10FFFF are
/// none.
std::size_t sequence_length(std::string_view text, std::size_t at) {
  const unsigned lead = byte_at(text, at), second = byte_at(text, at + 1);
  const auto continues = [&](std::size_t i) { return (byte_at(text, at + i) & 0xC0) == 0x80; };
  if (lead < 0x80) return 1;
  if (lead < 0xC2 || lead > 0xF4) return 0;
  if (lead < 0xE0) return continues(1) ? 2 : 0;
  if (lead < 0xF0) {
    const bool overlong = lead == 0xE0 && second < 0xA0, surrogate = lead == 0xED && second > 0x9F;
    return continues(1) && continues(2) && !overlong && !surrogate ? 3 : 0;
  }
  const bool overlong = lead == 0xF0 && second < 0x90, beyond = lead == 0xF4 && second > 0x8F;
  return continues(1) && continues(2) && continues(3) && !overlong && !beyond ? 4 : 0;
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
    const std::size_t length = sequence_length(text, at);
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
