#pragma once
// From result folders to what a report shows of them.

#include <filesystem>
#include <string>
#include <vector>

#include "plots/report_run.hpp"
#include "sim/cli/atomic_file.hpp"

namespace moesim {

struct Results {
  std::vector<ReportRun> runs;
  std::vector<std::string> commands;  ///< that made them, one of each folder
};

/// The runs in result folders of `run` and `compare`, in the order of the folders. Runs of one scenario from several
/// folders have the folder in their label. Commands in the report will name folders as seen from `from`. Runs that an
/// interrupted comparison finished count; what it has not is unfinished.
/// Throws InputError naming the file when one is missing, damaged, or of another version, and mixed_phases.
Results read_results(const std::vector<std::filesystem::path>& folders, const std::filesystem::path& from);

/// Writes report.html for them. Throws as read_results and write_file_atomically do.
void write_report(const std::vector<std::filesystem::path>& folders, const std::filesystem::path& file,
                  AtLink at_link = AtLink::follow);

}  // namespace moesim
