#include "tests/bench/kernel_table.hpp"

#include <charconv>

#include "models/units/error.hpp"
#include "models/units/resources.hpp"

namespace moesim::bench {
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

KernelRow::KernelRow(const std::map<std::string, std::size_t, std::less<>>& columns, std::string_view line)
    : columns_(&columns), cells_(split(line)) {}

std::string_view KernelRow::text(std::string_view column) const {
  const auto at = columns_->find(column);
  if (at == columns_->end() || at->second >= cells_.size())
    throw InputError{"kernel table", "a row without it", "a column " + std::string{column}};
  return cells_[at->second];
}

double KernelRow::number(std::string_view column) const {
  const std::string_view cell = text(column);
  double value = 0;
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  if (error != std::errc{} || end != cell.data() + cell.size())
    throw InputError{"kernel table, column " + std::string{column}, std::string{cell}, "a number"};
  return value;
}

KernelTable::KernelTable(const std::filesystem::path& file) : lines_(read_lines(file)) {
  if (lines_.empty()) throw InputError{file.string(), "an empty file", "a header line"};
  const auto header = split(lines_.front());
  for (std::size_t i = 0; i < header.size(); ++i) columns_.emplace(header[i], i);
}

}  // namespace moesim::bench
