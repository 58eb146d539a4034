#include "models/placement/csv.hpp"

#include <charconv>

#include <fmt/format.h>

#include "models/units/error.hpp"

namespace moesim {
namespace {

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

}  // namespace

std::vector<std::string_view> split_fields(std::string_view line, char separator) {
  std::vector<std::string_view> fields;
  for (std::size_t begin = 0;;) {
    const std::size_t end = line.find(separator, begin);
    fields.push_back(trimmed(line.substr(begin, end - begin)));
    if (end == std::string_view::npos) return fields;
    begin = end + 1;
  }
}

std::string place_in(const std::string& file, std::size_t line) {
  return fmt::format("{}:{}", file, line);
}

int parse_index(std::string_view text, const std::string& where, std::string_view column, int low, int high) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < low || value > high)
    throw InputError{where, fmt::format("{} '{}'", column, text.substr(0, 40)),
                     fmt::format("a whole number from {} to {}", low, high)};
  return value;
}

}  // namespace moesim
