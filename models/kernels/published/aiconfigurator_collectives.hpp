#pragma once
// What one row of aiconfigurator's tables of collectives measured.

#include <string>
#include <variant>
#include <vector>

#include "models/kernels/published/aiconfigurator_rows.hpp"

namespace moesim {

/// One point, or two where a row has both directions, or why the row is left out.
using CollectiveRowMeaning = std::variant<std::vector<PlacedPoint>, std::string>;

struct CollectiveTableKind {
  const char* stem;
  std::vector<std::string> columns;
  CollectiveRowMeaning (*read)(const MeasuredRow& row);
};
CollectiveTableKind nccl_table();
CollectiveTableKind custom_all_reduce_table();
/// Low latency and normal mode; nodes of 8 GPUs.
std::vector<CollectiveTableKind> deepep_tables();

}  // namespace moesim
