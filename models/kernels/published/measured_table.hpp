#pragma once
// Rows of a measured kernel table (CSV, gzipped or not), by column name.

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace moesim {

class MeasuredTable;

/// One row; valid while its table lives.
class MeasuredRow {
public:
  MeasuredRow(const MeasuredTable& table, std::size_t line);

  bool has(std::string_view column) const;
  /// Throws InputError ("FILE:LINE: COLUMN") when the table has no such column, the row is short or the cell is not a
  /// finite number.
  std::string_view text(std::string_view column) const;
  double number(std::string_view column) const;
  /// A number above zero: a size, or a time.
  double positive(std::string_view column) const;
  /// The number, or `fallback` in a table without that column.
  double number_or(std::string_view column, double fallback) const { return has(column) ? number(column) : fallback; }

  std::string place() const;  ///< "FILE:LINE"
  /// Every cell but that of `column`: what was measured, without the result.
  std::string without(std::string_view column) const;

private:
  const MeasuredTable* table_;
  std::size_t line_;
  std::vector<std::string_view> cells_;
};

class MeasuredTable {
public:
  /// Throws InputError for a file that cannot be read or is empty.
  explicit MeasuredTable(const std::filesystem::path& file);

  std::size_t size() const { return lines_.empty() ? 0 : lines_.size() - 1; }
  MeasuredRow row(std::size_t i) const { return {*this, i + 1}; }
  /// Throws InputError that lists what is missing.
  void require(const std::vector<std::string>& columns) const;
  const std::string& file() const { return file_; }

private:
  friend class MeasuredRow;

  std::string file_;
  std::vector<std::string> lines_;
  std::map<std::string, std::size_t, std::less<>> columns_;
};

}  // namespace moesim
