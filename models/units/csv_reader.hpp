#pragma once
// Rows of comma-separated fields, and errors that name file, line and column.

#include <string>
#include <string_view>
#include <vector>

#include "models/units/error.hpp"

namespace moesim {

/// The only reader of .csv and .csv.gz files. Blanks around fields and blank lines do not count; quoting only where it
/// is asked for. Errors read "FILE:LINE:COLUMN: got ..., expected ...", lines and columns from 1, columns in bytes.
class CsvReader {
public:
  enum class Header {
    required,
    unless_numbers,  ///< a first line of nothing but numbers is a row, and there are no names
  };
  enum class Quotes {
    none,     ///< a quote is a character as any other
    allowed,  ///< RFC 4180 within a line: "a, b" is one field, "" in it a quote
  };

  /// Reads the whole file, without the byte order mark of spreadsheets. Throws InputError when it cannot be read or its
  /// first line is blank.
  explicit CsvReader(const std::string& file, Header header = Header::required, Quotes quotes = Quotes::none);
  CsvReader(const CsvReader&) = delete;  // fields look into its lines
  CsvReader& operator=(const CsvReader&) = delete;

  const std::string& file() const { return file_; }
  std::vector<std::string> header() const;     ///< empty: the file has no header
  std::string named_columns() const;           ///< "columns layer, expert", cut short, for messages
  int columns() const { return columns_; }     ///< of the first line, and so of every row
  int find(std::string_view column) const;     ///< -1: no such column
  int require(std::string_view column) const;  ///< Throws InputError when there is no such column.

  /// Moves to the next row that is not blank. Throws InputError when it has another number of fields than the first
  /// line, a quote without end, or something behind it.
  bool next();
  /// Without its quotes; quotes inside it still doubled (unquoted()).
  std::string_view field(int column) const { return fields_[static_cast<std::size_t>(column)]; }
  /// What stands between blanks in a field: "3 17" gives 3 and 17.
  std::vector<std::string_view> words(int column) const;
  /// The current row up to the start of a column: what names the row.
  std::string_view before(int column) const;
  int line() const { return static_cast<int>(row_) + 1; }

  /// A whole number in [low, high], else InputError with the place, `what` and the range.
  int index(int column, int low, int high, std::string_view what) const {
    return index(field(column), low, high, what);
  }
  int index(std::string_view part_of_row, int low, int high, std::string_view what) const;
  /// A finite number >= 0, else InputError.
  double amount(int column, std::string_view what) const;
  /// "FILE:LINE:COLUMN" of a field, or of a part of a field, of the current row.
  std::string place(int column) const { return place(field(column)); }
  std::string place(std::string_view part_of_row) const;

private:
  void split();
  std::size_t end_of_field(std::size_t begin) const;

  std::string file_;
  Quotes quotes_ = Quotes::none;
  std::vector<std::string> lines_;
  std::vector<std::string_view> header_, fields_;
  int columns_ = 0;
  std::size_t row_ = 0, next_row_ = 0;
};

/// A field with each doubled quote as one.
std::string unquoted(std::string_view field);

}  // namespace moesim
