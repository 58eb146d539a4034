#pragma once
// Rows of a CSV file with a header, and errors that name file, line and column.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "models/units/error.hpp"

namespace moesim {

class CsvReader {
public:
  /// Reads the whole .csv or .csv.gz file. Throws InputError when it cannot be read or has no header.
  explicit CsvReader(const std::string& file);

  const std::string& file() const { return file_; }
  std::vector<std::string> header() const;
  int find(std::string_view column) const;     ///< -1: no such column
  int require(std::string_view column) const;  ///< Throws InputError when there is no such column.

  /// Moves to the next row that is not blank. Throws InputError when it has another number of fields than the header.
  bool next();
  std::string_view field(int column) const { return fields_[static_cast<std::size_t>(column)]; }
  /// The current row up to the start of a column: what names the row.
  std::string_view before(int column) const;
  int line() const { return static_cast<int>(row_) + 1; }

  /// A whole number in [low, high], else InputError with the place, `what` and the range.
  int index(int column, int low, int high, std::string_view what) const;
  /// A finite number >= 0, else InputError.
  double amount(int column, std::string_view what) const;
  /// "FILE:LINE:COLUMN" of a field of the current row.
  std::string place(int column) const;

private:
  void split();

  std::string file_;
  std::vector<std::string> lines_;
  std::vector<std::string_view> header_, fields_;
  std::size_t row_ = 0;
};

}  // namespace moesim
