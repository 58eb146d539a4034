#pragma once
// --set path=value on the command line.

#include <string>
#include <vector>

#include "sim/scenario/scenario.hpp"

namespace moesim {

/// Throws InputError for a text without '='.
std::vector<Override> parse_overrides(const std::vector<std::string>& texts);

}  // namespace moesim
