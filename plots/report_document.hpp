#pragma once
// What a report says, as the JSON document of plots/README.md.

#include <string>
#include <vector>

#include "plots/report_run.hpp"

namespace moesim {

struct ReportDocument {
  std::string title;
  std::string json;
};

/// One run: a report on it. Several: a comparison, with the charts of each run below.
/// Heatmaps of later runs are left out, with a note, where the document would exceed about 2 MB.
/// `commands`: those that made the results.
/// `again`: the command that writes the report once more, for charts that no single folder draws; empty: they are those
/// of the report's folder.
ReportDocument report_document(const std::vector<ReportRun>& runs, const std::vector<std::string>& commands = {},
                               const std::string& again = "");

}  // namespace moesim
