#include "models/kernels/published/measured_table.hpp"

#include <charconv>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "models/units/error.hpp"
#include "models/units/resources.hpp"

namespace moesim {
namespace {

std::vector<std::string_view> split(std::string_view line) {
  std::vector<std::string_view> cells;
  for (std::size_t begin = 0; begin <= line.size();) {
    const std::size_t end = std::min(line.find(',', begin), line.size());
    cells.push_back(line.substr(begin, end - begin));
    begin = end + 1;
  }
  return cells;
}

}  // namespace

MeasuredRow::MeasuredRow(const MeasuredTable& table, std::size_t line)
    : table_(&table), line_(line), cells_(split(table.lines_[line])) {}

bool MeasuredRow::has(std::string_view column) const {
  return table_->columns_.find(column) != table_->columns_.end();
}

std::string MeasuredRow::place() const {
  return fmt::format("{}:{}", table_->file_, line_ + 1);
}

std::string MeasuredRow::without(std::string_view column) const {
  const std::string_view left_out = text(column);
  std::string identity;
  for (const std::string_view cell : cells_)
    if (cell.data() != left_out.data()) identity.append(cell).push_back(',');
  return identity;
}

std::string_view MeasuredRow::text(std::string_view column) const {
  const auto at = table_->columns_.find(column);
  if (at == table_->columns_.end())
    throw InputError{table_->file_, "no such column", fmt::format("a column {}", column)};
  if (at->second >= cells_.size())
    throw InputError{place(), fmt::format("{} cells", cells_.size()),
                     fmt::format("{}, one for each column", table_->columns_.size())};
  return cells_[at->second];
}

double MeasuredRow::number(std::string_view column) const {
  const std::string_view cell = text(column);
  double value = 0;
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  if (error != std::errc{} || end != cell.data() + cell.size() || !std::isfinite(value))
    throw InputError{fmt::format("{}: {}", place(), column), fmt::format("'{}'", cell), "a number"};
  return value;
}

double MeasuredRow::positive(std::string_view column) const {
  const double value = number(column);
  if (value <= 0)
    throw InputError{fmt::format("{}: {}", place(), column), std::string{text(column)}, "a number above 0"};
  return value;
}

MeasuredTable::MeasuredTable(const std::filesystem::path& file) : file_(file.string()), lines_(read_lines(file)) {
  if (lines_.empty()) throw InputError{file_, "an empty file", "a header line"};
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";  // of spreadsheets
  std::string_view first = lines_.front();
  if (first.starts_with(kByteOrderMark)) first.remove_prefix(kByteOrderMark.size());
  const auto header = split(first);
  for (std::size_t i = 0; i < header.size(); ++i) columns_.emplace(header[i], i);
}

void MeasuredTable::require(const std::vector<std::string>& columns) const {
  std::vector<std::string> missing;
  for (const std::string& column : columns)
    if (columns_.find(column) == columns_.end()) missing.push_back(column);
  if (!missing.empty())
    throw InputError{file_ + ":1", fmt::format("no column {}", fmt::join(missing, ", ")),
                     fmt::format("columns {}", fmt::join(columns, ","))};
}

}  // namespace moesim
