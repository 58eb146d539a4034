#pragma once
// Which shapes a profile holds, so that a planner sees before a run whether his model is inside.

#include <string>
#include <vector>

#include "models/kernels/published/kernel_model.hpp"

namespace moesim {

/// Where an axis or the size of a table begins and ends.
struct ValueRange {
  double least = 0, most = 0;
};

/// A table's extent, and whose experts it is of.
struct TableExtent {
  const KernelTable* table = nullptr;
  std::vector<ValueRange> axes;     ///< as layout_of(operation) names them
  ValueRange size;                  ///< that its curves cover together
  std::vector<std::string> models;  ///< of the zoo; experts alone
};
std::vector<TableExtent> table_extents(const EngineModel& engine);

/// A line for each shape, number formats together: "7168 wide, 256 experts, top 8 ...   deepseek-r1, deepseek-v3".
/// Experts of one model and all slices of their width are one shape.
std::string shape_lines(const std::vector<TableExtent>& extents, KernelOperation operation);

/// What little an engine or a library rests on: operations with tables of fewer than 5 measured times, and those judged
/// on fewer than 10 rows that no fit saw.
std::vector<std::string> thin_evidence(const KernelModel& model);

}  // namespace moesim
