#include "sim/cli/report.hpp"

#include <fstream>
#include <iterator>
#include <map>
#include <set>

#include <fmt/format.h>

#include "models/units/error.hpp"
#include "plots/report_document.hpp"
#include "plots/report_html.hpp"
#include "plots/svg.hpp"
#include "sim/cli/usage.hpp"
#include "sim/metrics/json_value.hpp"
#include "sim/metrics/shell_word.hpp"
#include "sim/metrics/summary_json.hpp"
#include "sim/metrics/summary_reader.hpp"

namespace moesim {
namespace fs = std::filesystem;
namespace {

using Value = JsonValue;

std::string seen_from(const fs::path& from, const fs::path& folder) {
  const fs::path seen = folder.lexically_proximate(from);
  return seen.empty() ? "." : seen.string();
}

/// The drawing of a folder that somebody may have changed goes into a page that others open.
std::string drawing_in(const fs::path& folder) {
  const fs::path file = folder / "topology.svg";
  require_results(file);
  std::ifstream in{file, std::ios::binary};
  const std::string svg{std::istreambuf_iterator<char>{in}, {}};
  if (const std::string found = foreign_to_drawing(svg); !found.empty())
    throw InputError{file.string(), found, "a drawing as moesim run writes it"};
  return svg;
}

std::string command_in(const fs::path& folder) {
  const fs::path file = folder / "run.json";
  const nlohmann::json json = parse_results(file);
  return Value{json, file.string()}["command"].text();
}

void add_results(const fs::path& folder, ReportRun& run) {
  run.status = "done";
  run.reason.clear();
  run.summary = read_summary(folder, MOESIM_VERSION);
  const Summary& summary = *run.summary;
  run.model = summary.model;
  run.gpu = summary.gpu;
  run.arithmetic = node_arithmetic(summary.gpus, summary.cluster_gpus, summary.nodes, summary.gpus_per_node);
  run.command = command_in(folder);
  run.drawing = drawing_in(folder);
  run.memory = summary.memory.needed;
  run.memory_limit = summary.memory.capacity;
}

ReportRun single_run(const fs::path& folder, const fs::path& from) {
  ReportRun run;
  add_results(folder, run);
  run.folder = seen_from(from, folder);
  run.label = run.summary->scenario_name;
  run.layout = run.summary->headline;
  return run;
}

std::string scenario_name(const Value& row) {
  return fs::path{row["scenario"].text()}.stem().string();
}

/// "ep 8, eplb" of what varies, the scenario's name where several are compared.
std::string label_of(const ReportRun& run, const std::string& scenario, bool many_files) {
  std::string label = many_files || run.varied.empty() ? scenario : "";
  for (const auto& [key, value] : run.varied)
    label += fmt::format("{}{} {}", label.empty() ? "" : ", ", key.substr(key.rfind('.') + 1), value);
  return label;
}

/// The subfolder of a run: never anything outside the comparison's own folder.
fs::path subfolder(const fs::path& folder, const Value& name) {
  const fs::path inside = name.text();
  if (inside.empty() || inside.filename() != inside || inside == "." || inside == "..")
    name.refuse("the name of a folder in that of the comparison");
  return folder / inside;
}

ReportRun compared_run(const Value& row, bool many_files, const fs::path& folder, const fs::path& from) {
  ReportRun run;
  row["varied"].each([&](const Value& item) { run.varied.emplace_back(item["key"].text(), item["value"].text()); });
  run.label = label_of(run, scenario_name(row), many_files);
  run.status = row["status"].text();
  run.reason = row["reason"].text_or_empty();
  row["remedies"].each([&](const Value& remedy) { run.remedies.push_back(remedy.text()); });
  run.layout = row["layout"].text_or_empty();
  run.arithmetic = row["arithmetic"].text_or_empty();
  run.model = row["model"].text_or_empty();
  run.gpu = row["gpu"].text_or_empty();
  const fs::path own = subfolder(folder, row["folder"]);
  run.folder = seen_from(from, own);
  std::error_code failure;
  if (run.status == "done" || (run.status == "unfinished" && fs::exists(own / "summary.json", failure))) {
    add_results(own, run);
  } else if (const Value memory = row["memory"]; !memory.is_null()) {
    run.memory = memory["per_gpu_max_bytes"].bytes();
    run.memory_limit = memory["capacity_bytes"].bytes();
  }
  return run;
}

void add_compared(const fs::path& folder, const fs::path& from, Results& results) {
  const fs::path file = folder / "compare.json";
  const nlohmann::json parsed = parse_results(file);
  const Value json{parsed, file.string()};
  if (const std::string version = json["version"].text(); version != MOESIM_VERSION)
    throw InputError{file.string(), "results of moesim " + version,
                     fmt::format("those of this moesim {}; compare again", MOESIM_VERSION)};
  std::set<std::string> files;
  json["runs"].each([&](const Value& row) { files.insert(row["scenario"].text()); });
  if (files.empty()) throw InputError{file.string(), "no runs", "one at least"};
  json["runs"].each([&](const Value& row) {
    results.runs.push_back(compared_run(row, files.size() > 1, folder, from));
    results.runs.back().is_first = row["folder"].text() == json["first"].text();
  });
  results.commands.push_back(json["command"].text());
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
  if (of[0] != nullptr && of[1] != nullptr) throw mixed_phases("report", of[0]->folder, of[1]->folder);
}

}  // namespace

Results read_results(const std::vector<fs::path>& folders, const fs::path& from) {
  Results results;
  for (const fs::path& folder : folders) {
    std::error_code failure;
    if (fs::exists(folder / "compare.json", failure)) {
      add_compared(folder, from, results);
    } else if (fs::exists(folder / "summary.json", failure)) {
      results.runs.push_back(single_run(folder, from));
      results.commands.push_back(results.runs.back().command);
    } else {
      throw InputError{folder.string(),
                       fs::exists(folder, failure) ? "neither summary.json nor compare.json" : "no such folder",
                       "a result folder of moesim run or compare"};
    }
  }
  check_one_phase(results.runs);
  name_apart(results.runs);
  return results;
}

void write_report(const std::vector<fs::path>& folders, const fs::path& file, AtLink at_link) {
  std::string again;  // what writes a report of several folders once more
  for (const fs::path& folder : folders) again += " " + shell_word(seen_from(file.parent_path(), folder));
  again = fmt::format("moesim report{} --out {}", again, shell_word(file.filename().string()));
  const Results results = read_results(folders, file.parent_path());
  const ReportDocument document = report_document(results.runs, results.commands, folders.size() > 1 ? again : "");
  write_file_atomically(file, report_html(document.json, document.title), at_link);
}

}  // namespace moesim
