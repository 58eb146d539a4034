#pragma once
// What a person reads in five seconds.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/metrics/summary.hpp"

namespace moesim {

/// Whether stdout is a terminal, and NO_COLOR does not forbid colours.
bool wants_colour();

/// Columns of the terminal that stdout is; none when it is none, or does not say.
std::optional<std::size_t> terminal_width();

/// On one line, control characters as escapes: a hostile name moves no cursor.
std::string printable(std::string_view text);

/// Each line of the fullest GPU's memory with its arithmetic, their sum and the limit; then the verdict.
std::string memory_table(const MemoryFit& fit, bool colour);

/// "  note   ..." lines, of how a scenario was taken.
std::string note_lines(const std::vector<std::string>& notes);

/// The summary as text; `colour` adds ANSI colours to verdicts.
std::string terminal_summary(const Summary& summary, bool colour);

}  // namespace moesim
