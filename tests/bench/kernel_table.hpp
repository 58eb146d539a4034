#pragma once
// Rows of a measured kernel table (CSV, gzipped or not), by column name.

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace moesim::bench {

/// One row; valid while its table lives.
class KernelRow {
public:
  KernelRow(const std::map<std::string, std::size_t, std::less<>>& columns, std::string_view line);

  bool has(std::string_view column) const { return columns_->find(column) != columns_->end(); }
  /// Throws InputError when the table has no such column or the cell is not a number.
  std::string_view text(std::string_view column) const;
  double number(std::string_view column) const;
  /// The number, or `fallback` in a table without that column.
  double number_or(std::string_view column, double fallback) const { return has(column) ? number(column) : fallback; }

private:
  const std::map<std::string, std::size_t, std::less<>>* columns_;
  std::vector<std::string_view> cells_;
};

class KernelTable {
public:
  explicit KernelTable(const std::filesystem::path& file);

  std::size_t size() const { return lines_.empty() ? 0 : lines_.size() - 1; }
  KernelRow row(std::size_t i) const { return {columns_, lines_[i + 1]}; }

private:
  std::vector<std::string> lines_;
  std::map<std::string, std::size_t, std::less<>> columns_;
};

}  // namespace moesim::bench
