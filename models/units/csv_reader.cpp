#include "models/units/csv_reader.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "models/units/resources.hpp"

namespace moesim {
namespace {

constexpr std::string_view kBlanks = " \t\r";

/// Without the blanks around it; always a part of `text`, so that its place in the line is known.
std::string_view trimmed(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
  text.remove_suffix(text.size() - (text.find_last_not_of(kBlanks) + 1));
  return text;
}

template <class Number>
std::optional<Number> whole_text_as(std::string_view text) {
  Number value{};
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string shown(std::string_view what, std::string_view text) {
  constexpr std::size_t kShown = 40;
  return fmt::format("{} \"{}{}\"", what, text.substr(0, kShown), text.size() > kShown ? "..." : "");
}

bool is_number(std::string_view text) {
  return whole_text_as<double>(text).has_value();
}

}  // namespace

CsvReader::CsvReader(const std::string& file, Header header, Quotes quotes)
    : file_{file}, quotes_{quotes}, lines_{read_lines(file)} {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (!lines_.empty() && lines_[0].starts_with(kByteOrderMark)) lines_[0].erase(0, kByteOrderMark.size());
  if (lines_.empty() || trimmed(lines_[0]).empty())
    throw InputError{file_ + ":1:1", "no header line",
                     fmt::format("the names of the columns{}, separated by commas",
                                 header == Header::required ? "" : " or numbers")};
  split();
  columns_ = static_cast<int>(fields_.size());
  if (header == Header::unless_numbers && std::all_of(fields_.begin(), fields_.end(), is_number)) return;
  header_ = fields_;
  next_row_ = 1;
}

/// Where the comma after a field is, or the end of the line.
std::size_t CsvReader::end_of_field(std::size_t begin) const {
  const std::string_view line = lines_[row_];
  std::size_t look = begin;
  if (quotes_ == Quotes::allowed && trimmed(line.substr(begin)).starts_with('"')) {
    look = line.find('"', begin) + 1;
    while ((look = line.find('"', look)) != std::string_view::npos && line.substr(look + 1).starts_with('"')) look += 2;
    if (look == std::string_view::npos)
      throw InputError{place(trimmed(line.substr(begin))), "a quote without end", "a second quote in the same line"};
    const std::string_view behind = line.substr(look + 1, line.find(',', look) - (look + 1));
    if (!trimmed(behind).empty())
      throw InputError{place(trimmed(behind)), shown("a closed quote, then", trimmed(behind)), "a comma"};
  }
  return std::min(line.find(',', look), line.size());
}

std::string unquoted(std::string_view field) {
  std::string text{field};
  for (std::size_t at = 0; (at = text.find("\"\"", at)) != std::string::npos; ++at) text.erase(at, 1);
  return text;
}

void CsvReader::split() {
  const std::string_view line = lines_[row_];
  fields_.clear();
  for (std::size_t begin = 0;;) {
    const std::size_t end = end_of_field(begin);
    std::string_view field = trimmed(line.substr(begin, end - begin));
    if (quotes_ == Quotes::allowed && field.size() > 1 && field.front() == '"' && field.back() == '"')
      field = field.substr(1, field.size() - 2);
    fields_.push_back(field);
    if (end == line.size()) return;
    begin = end + 1;
  }
}

std::vector<std::string> CsvReader::header() const {
  return {header_.begin(), header_.end()};
}

std::string CsvReader::named_columns() const {
  constexpr std::size_t kShown = 200;
  const std::string names = fmt::format("columns {}", fmt::join(header_, ", "));
  return names.size() <= kShown ? names : names.substr(0, kShown) + "...";
}

int CsvReader::find(std::string_view column) const {
  const auto found = std::find(header_.begin(), header_.end(), column);
  return found == header_.end() ? -1 : static_cast<int>(found - header_.begin());
}

int CsvReader::require(std::string_view column) const {
  const int found = find(column);
  if (found < 0)
    throw InputError{file_ + ":1:1", named_columns(), fmt::format("a column {}", column), nearest(column, header())};
  return found;
}

bool CsvReader::next() {
  while (next_row_ < lines_.size()) {
    row_ = next_row_++;
    if (trimmed(lines_[row_]).empty()) continue;
    split();
    if (static_cast<int>(fields_.size()) == columns_) return true;
    throw InputError{fmt::format("{}:{}:1", file_, row_ + 1), fmt::format("{} fields", fields_.size()),
                     fmt::format("{} fields as in the {}", columns_, header_.empty() ? "first line" : "header")};
  }
  return false;
}

std::vector<std::string_view> CsvReader::words(int column) const {
  std::vector<std::string_view> words;
  for (std::string_view rest = field(column); !rest.empty();) {
    const std::size_t end = std::min(rest.find_first_of(kBlanks), rest.size());
    words.push_back(rest.substr(0, end));
    rest = trimmed(rest.substr(end));
  }
  return words;
}

std::string_view CsvReader::before(int column) const {
  return {lines_[row_].data(), static_cast<std::size_t>(field(column).data() - lines_[row_].data())};
}

std::string CsvReader::place(std::string_view part_of_row) const {
  return fmt::format("{}:{}:{}", file_, row_ + 1, part_of_row.data() - lines_[row_].data() + 1);
}

int CsvReader::index(std::string_view part_of_row, int low, int high, std::string_view what) const {
  const auto value = whole_text_as<int>(part_of_row);
  if (!value || *value < low || *value > high)
    throw InputError{place(part_of_row), shown(what, part_of_row),
                     fmt::format("a whole number from {} to {}", low, high)};
  return *value;
}

double CsvReader::amount(int column, std::string_view what) const {
  const auto value = whole_text_as<double>(field(column));
  if (!value || !std::isfinite(*value) || *value < 0)
    throw InputError{place(column), shown(what, field(column)), "a finite number >= 0"};
  return *value;
}

}  // namespace moesim
