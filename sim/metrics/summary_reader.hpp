#pragma once
// A result folder back into a Summary.

#include <filesystem>
#include <string>

#include "sim/metrics/summary.hpp"

namespace moesim {

/// Reads summary.json, steps.csv, experts.csv, gpus.csv and links.csv as summary_json and tables.hpp write them, to the
/// digits that they hold. Left empty: remarks (they are among the notes), capacity and offload.
/// Throws InputError naming the file (and line of a table) when one is missing, damaged, or not of this version.
Summary read_summary(const std::filesystem::path& folder, const std::string& version);

}  // namespace moesim
