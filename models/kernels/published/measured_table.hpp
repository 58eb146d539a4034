#pragma once
// Rows of a measured kernel table (CSV, gzipped or not), by column name.

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "models/units/csv_reader.hpp"

namespace moesim {

/// The row that a table is at; valid until it moves on.
class MeasuredRow {
public:
  explicit MeasuredRow(const CsvReader& csv) : csv_{&csv} {}

  bool has(std::string_view column) const { return csv_->find(column) >= 0; }
  /// Throws InputError ("FILE:LINE: COLUMN") when the table has no such column or the cell is not a finite number.
  std::string_view text(std::string_view column) const;
  double number(std::string_view column) const;
  /// A number above zero: a size, or a time.
  double positive(std::string_view column) const;
  /// The number, or `fallback` in a table without that column.
  double number_or(std::string_view column, double fallback) const { return has(column) ? number(column) : fallback; }

  std::string place() const;  ///< "FILE:LINE"
  int line() const { return csv_->line(); }
  /// Every cell but that of `column`: what was measured, without the result.
  std::string without(std::string_view column) const;

private:
  const CsvReader* csv_;
};

/// Cells may stand in quotes, with blanks around them; blank lines do not count.
class MeasuredTable {
public:
  /// Throws InputError for a file that cannot be read or is empty.
  explicit MeasuredTable(const std::filesystem::path& file)
      : csv_{file.string(), CsvReader::Header::required, CsvReader::Quotes::allowed} {}

  /// Throws InputError that lists what is missing.
  void require(const std::vector<std::string>& columns) const;
  /// Moves to the next row. Throws InputError for one with too few or too many cells, or with a broken quote.
  bool next();
  MeasuredRow row() const { return MeasuredRow{csv_}; }
  int rows() const { return rows_; }  ///< up to the one that it is at

private:
  CsvReader csv_;
  int rows_ = 0;
};

}  // namespace moesim
