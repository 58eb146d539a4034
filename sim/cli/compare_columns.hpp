#pragma once
// The columns of a comparison: what they show of a run, and runs sorted by them.

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "sim/cli/compare_run.hpp"

namespace moesim {

/// What a column shows of a run, and what it sorts by.
struct Cell {
  std::string text;
  std::optional<double> number;
};

struct Column {
  std::string name, heading;
  bool high_first = false;  ///< in sorting
  bool right = false;       ///< aligned
  std::function<Cell(const ComparedRun&)> of;
  bool always = false;  ///< shown also where it is the same in all runs
};

/// The text of a cell without value.
inline constexpr const char* kNothing = "-";

/// All that --sort takes: the scenario, the keys of --vary, then figures.
std::vector<Column> columns(const Comparison& comparison);

/// The folder; its number alone says enough where all runs are of one scenario.
Column run_column(bool one_scenario);

/// As it can be printed.
std::string folder_of(const ComparedRun& run);

/// Throws InputError at --sort for a name that is no column and no key of --vary.
void check_sort_column(const Comparison& comparison, const std::string& column);

/// Best first: the highest of throughput and ratios, else the lowest, texts by alphabet; runs without the value last,
/// equals in the order of the plan.
/// Throws as check_sort_column does.
void sort_runs(Comparison& comparison, const std::string& column);

}  // namespace moesim
