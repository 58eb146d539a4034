#include "sim/cli/report.hpp"

#include <fstream>
#include <iterator>
#include <map>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "models/units/error.hpp"
#include "plots/report_document.hpp"
#include "plots/report_html.hpp"
#include "sim/cli/atomic_file.hpp"
#include "sim/metrics/summary_reader.hpp"

namespace moesim {
namespace fs = std::filesystem;
namespace {

using Json = nlohmann::json;

std::string read_text(const fs::path& file) {
  std::error_code failure;
  std::ifstream in{file, std::ios::binary};
  if (!in || !fs::is_regular_file(file, failure))
    throw InputError{file.string(), "no such file", "a whole result folder; run it again"};
  return {std::istreambuf_iterator<char>{in}, {}};
}

void add_results(const fs::path& folder, const fs::path& from, ReportRun& run) {
  run.summary = read_summary(folder, MOESIM_VERSION);
  run.drawing = read_text(folder / "topology.svg");
  run.memory = run.summary->memory.needed;
  run.memory_limit = run.summary->memory.capacity;
  const fs::path seen = folder.lexically_proximate(from);
  run.folder = seen.empty() ? "." : seen.string();
}

ReportRun single_run(const fs::path& folder, const fs::path& from) {
  ReportRun run;
  add_results(folder, from, run);
  const Summary& summary = *run.summary;
  run.label = summary.scenario_name;
  run.layout = summary.headline;
  run.arithmetic = summary.gpus % summary.nodes == 0
                       ? fmt::format("{} = {} node{} x {}", summary.gpus, summary.nodes, summary.nodes == 1 ? "" : "s",
                                     summary.gpus / summary.nodes)
                       : fmt::format("{} on {} nodes", summary.gpus, summary.nodes);
  return run;
}

/// "ep 8, eplb" of what varies, the scenario's name where several are compared.
std::string label_of(const Json& row, bool many_files) {
  std::string label;
  if (many_files || row.at("varied").empty()) label = fs::path{row.at("scenario").get<std::string>()}.stem().string();
  for (const Json& item : row.at("varied")) {
    const std::string key = item.at("key"), value = item.at("value");
    label += fmt::format("{}{} {}", label.empty() ? "" : ", ", key.substr(key.rfind('.') + 1), value);
  }
  return label;
}

std::string text_or_empty(const Json& value) {
  return value.is_null() ? "" : value.get<std::string>();
}

ReportRun compared_run(const Json& row, bool many_files, const fs::path& folder, const fs::path& from) {
  ReportRun run;
  run.label = label_of(row, many_files);
  run.status = row.at("status");
  run.reason = text_or_empty(row.at("reason"));
  run.remedies = row.at("remedies").get<std::vector<std::string>>();
  run.layout = text_or_empty(row.at("layout"));
  run.arithmetic = text_or_empty(row.at("arithmetic"));
  for (const Json& item : row.at("varied")) run.varied.emplace_back(item.at("key"), item.at("value"));
  if (run.status == "done")
    add_results(folder / row.at("folder").get<std::string>(), from, run);
  else if (!row.at("memory").is_null()) {
    run.memory = Bytes{row.at("memory").at("per_gpu_max_bytes").get<double>()};
    run.memory_limit = Bytes{row.at("memory").at("capacity_bytes").get<double>()};
  }
  return run;
}

std::vector<ReportRun> compared_runs(const fs::path& folder, const fs::path& from) {
  const fs::path file = folder / "compare.json";
  try {
    const Json json = Json::parse(read_text(file));
    if (const std::string version = json.at("version"); version != MOESIM_VERSION)
      throw InputError{file.string(), "results of moesim " + version,
                       fmt::format("those of this moesim {}; compare again", MOESIM_VERSION)};
    bool many_files = false;
    for (const Json& row : json.at("runs"))
      many_files = many_files || row.at("scenario") != json.at("runs").front().at("scenario");
    std::vector<ReportRun> runs;
    for (const Json& row : json.at("runs")) {
      runs.push_back(compared_run(row, many_files, folder, from));
      runs.back().is_first = row.at("folder") == json.at("first");
    }
    if (runs.empty()) throw InputError{file.string(), "no runs", "one at least"};
    return runs;
  } catch (const Json::exception& error) {
    const std::string_view text = error.what();  // "[json.exception.parse_error.101] parse error at ..."
    throw InputError{file.string(), fmt::format("damaged JSON ({})", text.substr(text.find(']') + 2)),
                     "a comparison as moesim compare writes it"};
  }
}

/// Runs that would be told apart by nothing but their place get their folder's name.
void name_apart(std::vector<ReportRun>& runs) {
  std::map<std::string, int> count;
  for (const ReportRun& run : runs) ++count[run.label];
  for (ReportRun& run : runs)
    if (count[run.label] > 1 && !run.folder.empty()) run.label += fmt::format(" ({})", run.folder);
}

/// As compare does: tokens of a prompt and of an answer are different units.
void check_one_phase(const std::vector<ReportRun>& runs) {
  const ReportRun* of[2] = {};
  for (const ReportRun& run : runs)
    if (run.summary && of[run.summary->output_tokens_per_s ? 1 : 0] == nullptr)
      of[run.summary->output_tokens_per_s ? 1 : 0] = &run;
  if (of[0] != nullptr && of[1] != nullptr)
    throw InputError{"report", fmt::format("prefill ({}) beside decode ({})", of[0]->folder, of[1]->folder),
                     "results of one workload.phase: tokens of a prompt and of an answer are different units"};
}

}  // namespace

std::vector<ReportRun> read_results(const std::vector<fs::path>& folders, const fs::path& from) {
  std::vector<ReportRun> runs;
  for (const fs::path& folder : folders) {
    std::error_code failure;
    if (fs::exists(folder / "compare.json", failure)) {
      for (ReportRun& run : compared_runs(folder, from)) runs.push_back(std::move(run));
    } else if (fs::exists(folder / "summary.json", failure)) {
      runs.push_back(single_run(folder, from));
    } else {
      throw InputError{folder.string(),
                       fs::exists(folder, failure) ? "neither summary.json nor compare.json" : "no such folder",
                       "a result folder of moesim run or compare"};
    }
  }
  check_one_phase(runs);
  name_apart(runs);
  return runs;
}

void write_report(const std::vector<fs::path>& folders, const fs::path& file) {
  std::string again;  // what writes a report of several folders once more
  for (const fs::path& folder : folders) again += " " + folder.lexically_proximate(file.parent_path()).string();
  again = fmt::format("moesim report{} --out {}", again, file.filename().string());
  const ReportDocument document =
      report_document(read_results(folders, file.parent_path()), folders.size() > 1 ? again : "");
  write_file_atomically(file, report_html(document.json, document.title));
}

}  // namespace moesim
