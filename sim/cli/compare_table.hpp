#pragma once
// A comparison for people, for a spreadsheet and for machines.

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "sim/cli/compare_run.hpp"

namespace moesim {

/// Throws InputError at --sort for a name that is no column and no key of --vary.
void check_sort_column(const Comparison& comparison, const std::string& column);

/// Best first: the highest of throughput and ratios, else the lowest, texts by alphabet; runs without the value last,
/// equals in the order of the plan.
/// Throws as check_sort_column does.
void sort_runs(Comparison& comparison, const std::string& column);

/// The table, what is the same in all runs above it, why runs are not done below it. Of a given width in characters:
/// less important columns are left out until it fits, and named.
std::string comparison_text(const Comparison& comparison, std::optional<std::size_t> width);

/// One document by scenarios/schema/compare.schema.json, indented. The same runs give the same bytes.
std::string comparison_json(const Comparison& comparison, const std::string& sorted_by);

/// One line a run, its fields as in the JSON, quoted by RFC 4180 where they must be. A text that a spreadsheet
/// would take for a formula begins with an apostrophe.
std::string comparison_csv(const Comparison& comparison);

}  // namespace moesim
