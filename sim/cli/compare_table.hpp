#pragma once
// A comparison for people, for a spreadsheet and for machines.

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "sim/cli/compare_run.hpp"

namespace moesim {

/// The table, what is the same in all runs above it, why runs are not done below it. Of a given width in characters:
/// less important columns are left out until it fits, and named.
std::string comparison_text(const Comparison& comparison, std::optional<std::size_t> width);

/// One document by scenarios/schema/compare.schema.json, indented. The same runs give the same bytes.
std::string comparison_json(const Comparison& comparison, const std::string& sorted_by);

/// One line a run, its fields as in the JSON, quoted by RFC 4180 where they must be. A text that a spreadsheet
/// would take for a formula begins with an apostrophe.
std::string comparison_csv(const Comparison& comparison);

}  // namespace moesim
