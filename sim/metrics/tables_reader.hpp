#pragma once
// The CSV tables of a result folder back into a Summary.

#include <string>

#include "sim/metrics/summary.hpp"

namespace moesim {

// Each reads what tables.hpp writes and throws InputError with file:line:column.
void read_steps(const std::string& file, Summary& summary);
void read_gpus(const std::string& file, Summary& summary);
/// After the GPUs, whose names it needs.
void read_experts(const std::string& file, Summary& summary);
void read_links(const std::string& file, Summary& summary);

}  // namespace moesim
