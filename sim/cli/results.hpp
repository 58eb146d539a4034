#pragma once
// A result folder: every file whole or absent, summary.json last.

#include <filesystem>
#include <string>
#include <vector>

#include "sim/cli/utc_time.hpp"
#include "sim/metrics/summary.hpp"
#include "sim/scenario/scenario.hpp"

namespace moesim {

/// Where results go: `named`, or the next free out/NNNN-scenario below the current folder when empty.
/// Throws InputError when the named folder exists and is not empty, unless `force`; or is a file.
std::filesystem::path choose_result_folder(const std::filesystem::path& named, const std::string& scenario, bool force);

/// What only run.json knows.
struct RunFacts {
  std::string command;  ///< that simulates it again: "moesim run s.yaml --set seed=3"
  Seconds wall;
};

/// Writes the tables, scenario.resolved.yaml, run.json (the only file with wall-clock facts) and, last, summary.json: a
/// folder with a summary is complete. Throws RunError, after removing what it wrote.
void write_results(const std::filesystem::path& folder, const Scenario& scenario, const Summary& summary,
                   const RunFacts& facts);

/// "moesim run scenarios/a.yaml --set seed=3", each word fit for a shell.
std::string run_command_text(const std::string& scenario, const std::vector<Override>& set);

}  // namespace moesim
