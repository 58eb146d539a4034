#pragma once
// What one row of an aiconfigurator table measured.

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "models/kernels/published/measured_points.hpp"
#include "models/kernels/published/measured_table.hpp"

namespace moesim {

struct PlacedPoint {
  TableKey key;
  MeasuredPoint point;
};

/// A number format by the tables' name for it.
std::optional<NumberFormat> format_of_dtype(std::string_view dtype);
/// Why a row in another one is left out.
std::string not_modelled(std::string_view dtype);

/// A point, or why the row is left out.
using RowMeaning = std::variant<PlacedPoint, std::string>;

/// The tables that are understood: file stem ("moe_perf"), the folder it is in, its columns, and how to read a row.
struct TableKind {
  const char* folder;
  const char* stem;
  std::vector<std::string> columns;
  RowMeaning (*read)(const MeasuredRow& row);
};
const std::vector<TableKind>& aiconfigurator_tables();

}  // namespace moesim
