#pragma once
// What a person reads in five seconds.

#include <string>

#include "sim/metrics/summary.hpp"

namespace moesim {

/// The summary as text; `colour` adds ANSI colours to verdicts.
std::string terminal_summary(const Summary& summary, bool colour);

}  // namespace moesim
