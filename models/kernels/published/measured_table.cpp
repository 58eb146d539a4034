#include "models/kernels/published/measured_table.hpp"

#include <charconv>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "models/units/error.hpp"
#include "models/units/utf8.hpp"

namespace moesim {

std::string MeasuredRow::place() const {
  return fmt::format("{}:{}", csv_->file(), csv_->line());
}

std::string_view MeasuredRow::text(std::string_view column) const {
  const int at = csv_->find(column);
  if (at < 0)
    throw InputError{fmt::format("{}: {}", place(), column), csv_->named_columns(), fmt::format("a column {}", column),
                     nearest(column, csv_->header())};
  return csv_->field(at);
}

std::string MeasuredRow::without(std::string_view column) const {
  const int left_out = csv_->find(column);
  std::string identity;
  for (int i = 0; i < csv_->columns(); ++i)
    if (i != left_out) identity.append(csv_->field(i)).push_back(',');
  return identity;
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

void MeasuredTable::require(const std::vector<std::string>& columns) const {
  std::vector<std::string> missing;
  for (const std::string& column : columns)
    if (csv_.find(column) < 0) missing.push_back(column);
  if (!missing.empty())
    throw InputError{csv_.file() + ":1",
                     fmt::format("no column {}, but {}", fmt::join(missing, ", "), csv_.named_columns()),
                     fmt::format("columns {}", fmt::join(columns, ",")), nearest(missing.front(), csv_.header())};
}

bool MeasuredTable::next() {
  const bool there = csv_.next();
  for (int i = 0; there && i < csv_.columns(); ++i)
    if (const auto at = not_printable(csv_.field(i)))
      throw InputError{csv_.place(csv_.field(i).substr(*at)),
                       fmt::format("the byte 0x{:02X}", static_cast<unsigned char>(csv_.field(i)[*at])),
                       "text in UTF-8 without control characters"};
  rows_ += there;
  return there;
}

}  // namespace moesim
