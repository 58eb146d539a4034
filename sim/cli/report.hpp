#pragma once
// From result folders to what a report shows of them.

#include <filesystem>
#include <vector>

#include "plots/report_run.hpp"

namespace moesim {

/// The runs in result folders of `run` and `compare`, in the order of the folders. Runs of one scenario from several
/// folders have the folder in their label. Commands in the report will name folders as seen from `from`.
/// Throws InputError naming the file when one is missing, damaged, or of another version.
std::vector<ReportRun> read_results(const std::vector<std::filesystem::path>& folders,
                                    const std::filesystem::path& from);

/// Writes report.html for them. Throws as read_results and write_file_atomically do.
void write_report(const std::vector<std::filesystem::path>& folders, const std::filesystem::path& file);

}  // namespace moesim
