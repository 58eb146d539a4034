#pragma once
// What Linux tells of this machine's processors.

#include <string>
#include <vector>

#include "models/units/quantity.hpp"

namespace moesim {

std::string processor_name();          ///< "AMD EPYC", or "unknown processor"
Bytes machine_memory();                ///< all of it
Bytes free_memory();                   ///< what a program may still take
std::vector<std::string> cpu_notes();  ///< clock, governor, other load

/// What one core sees; zero when the system does not say.
Bytes last_level_cache();

}  // namespace moesim
