// Any text as the summary.json of a result folder is read or refused; what is read makes a report.

#include <cstdlib>

#include "models/units/error.hpp"
#include "plots/report_document.hpp"
#include "sim/metrics/summary_reader.hpp"
#include "sim/metrics/tables.hpp"
#include "tests/fuzz/written_file.hpp"
#include "tests/temporary_folder.hpp"

namespace {

/// A folder whose tables are whole.
const moesim::testing::TemporaryFolder& folder() {
  static const moesim::testing::TemporaryFolder made;
  static const bool filled = [] {
    const moesim::Summary empty;
    made.write("steps.csv", steps_csv(empty));
    made.write("experts.csv", experts_csv(empty));
    made.write("gpus.csv", gpus_csv(empty));
    made.write("links.csv", links_csv(empty));
    return true;
  }();
  if (!filled) std::abort();
  return made;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace moesim;
  folder().write("summary.json", std::string{reinterpret_cast<const char*>(data), size});
  try {
    ReportRun run;
    run.summary = read_summary(folder().path(), "0.1.0");
    run.memory = run.summary->memory.needed;
    run.memory_limit = run.summary->memory.capacity;
    if (report_document({run, run}).json.empty()) std::abort();
  } catch (const InputError&) {
  }
  return 0;
}
