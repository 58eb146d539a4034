#include "models/routing/csv_reader.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "models/units/resources.hpp"

namespace moesim {

CsvReader::CsvReader(const std::string& file) : file_{file}, lines_{read_lines(file)} {
  if (lines_.empty() || lines_[0].empty())
    throw InputError{file_ + ":1:1", "no header line", "the names of the columns, separated by commas"};
  split();
  header_ = fields_;
}

void CsvReader::split() {
  const std::string_view line = lines_[row_];
  fields_.clear();
  for (std::size_t begin = 0;;) {
    const std::size_t end = line.find(',', begin);
    fields_.push_back(line.substr(begin, end - begin));
    if (end == std::string_view::npos) return;
    begin = end + 1;
  }
}

std::vector<std::string> CsvReader::header() const {
  return {header_.begin(), header_.end()};
}

int CsvReader::find(std::string_view column) const {
  const auto found = std::find(header_.begin(), header_.end(), column);
  return found == header_.end() ? -1 : static_cast<int>(found - header_.begin());
}

int CsvReader::require(std::string_view column) const {
  const int found = find(column);
  if (found < 0)
    throw InputError{file_ + ":1:1", fmt::format("columns {}", fmt::join(header_, ", ")),
                     fmt::format("a column {}", column), nearest(column, header())};
  return found;
}

bool CsvReader::next() {
  while (++row_ < lines_.size()) {
    if (lines_[row_].empty()) continue;
    split();
    if (fields_.size() == header_.size()) return true;
    throw InputError{fmt::format("{}:{}:1", file_, row_ + 1), fmt::format("{} fields", fields_.size()),
                     fmt::format("{} fields as in the header", header_.size())};
  }
  return false;
}

std::string_view CsvReader::before(int column) const {
  return {lines_[row_].data(), static_cast<std::size_t>(field(column).data() - lines_[row_].data())};
}

std::string CsvReader::place(int column) const {
  return fmt::format("{}:{}:{}", file_, row_ + 1, field(column).data() - lines_[row_].data() + 1);
}

int CsvReader::index(int column, int low, int high, std::string_view what) const {
  const std::string_view text = field(column);
  int value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc{} || end != text.data() + text.size() || value < low || value > high)
    throw InputError{place(column), fmt::format("{} \"{}\"", what, text), fmt::format("{} to {}", low, high)};
  return value;
}

double CsvReader::amount(int column, std::string_view what) const {
  const std::string_view text = field(column);
  double value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc{} || end != text.data() + text.size() || !std::isfinite(value) || value < 0)
    throw InputError{place(column), fmt::format("{} \"{}\"", what, text), "a finite number >= 0"};
  return value;
}

}  // namespace moesim
