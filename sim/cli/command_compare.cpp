#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/core.h>

#include "models/units/error.hpp"
#include "sim/cli/atomic_file.hpp"
#include "sim/cli/command.hpp"
#include "sim/cli/compare_columns.hpp"
#include "sim/cli/compare_table.hpp"
#include "sim/cli/compare_workers.hpp"
#include "sim/cli/report.hpp"
#include "sim/cli/results.hpp"
#include "sim/cli/signals.hpp"
#include "sim/cli/terminal.hpp"
#include "sim/cli/usage.hpp"
#include "sim/metrics/shell_word.hpp"

namespace moesim {
namespace fs = std::filesystem;
namespace {

struct CompareOptions {
  CompareRequest request;
  std::string out, sort;
  bool force = false, csv = false;
  int jobs = 0;  ///< 0: one a core
};

void write_comparison(const fs::path& folder, const std::string& json, const std::string& csv) {
  write_file_atomically(folder / "compare.csv", csv, AtLink::replace);
  write_file_atomically(folder / "compare.json", json, AtLink::replace);
  write_report({folder}, folder / "report.html", AtLink::replace);
}

/// What was finished stays, and `moesim report` finds it.
[[noreturn]] void end_by(const Interrupted& interrupt, const fs::path& folder, std::size_t runs) {
  fmt::print(stderr, "moesim: interrupted: {} of {} runs are in {}{}\n", interrupt.finished, runs,
             printable(folder.string()),
             interrupt.finished > 0 ? printable("; moesim report " + shell_word(folder.string()) + " shows them") : "");
  std::error_code ignored;
  if (interrupt.finished == 0) fs::remove(folder / "compare.json", ignored);
  if (fs::is_empty(folder, ignored)) fs::remove(folder, ignored);
  end_by_signal(interrupt.signal);
}

/// Before the work: a folder that cannot be is known at once, and from here on holds a comparison, if an unfinished
/// one.
void begin(const Comparison& comparison, const fs::path& folder, const std::string& sort) {
  std::error_code failure;
  fs::create_directories(folder, failure);
  if (failure) throw RunError{fmt::format("cannot create {}: {}", folder.string(), failure.message())};
  forget_results(comparison, folder);
  write_file_atomically(folder / "compare.json", comparison_json(comparison, sort), AtLink::replace);
}

void simulate_all(Comparison& comparison, const fs::path& folder, const CompareOptions& options, bool quiet) {
  const std::size_t runs = comparison.runs.size();
  begin(comparison, folder, options.sort);
  try {
    simulate_runs(comparison, folder, options.jobs, progress_on_terminal(quiet));
  } catch (const Interrupted& interrupt) {
    end_by(interrupt, folder, runs);
  }
}

void print_comparison(const Comparison& comparison, const fs::path& folder, const std::string& json,
                      const std::string& csv, const CompareOptions& options, const Globals& globals) {
  if (globals.json)
    fmt::print("{}", json);
  else if (options.csv)
    fmt::print("{}", csv);
  else
    fmt::print("{}  report {}\n", comparison_text(comparison, terminal_width()),
               printable((folder / "report.html").string()));
}

void compare(const CompareOptions& options, Globals& globals) {
  Comparison comparison = load_runs(plan_comparison(options.request));
  if (!options.sort.empty()) check_sort_column(comparison, options.sort);
  const fs::path folder = choose_result_folder(options.out, "compare", options.force);
  simulate_all(comparison, folder, options, globals.quiet);
  if (!options.sort.empty()) sort_runs(comparison, options.sort);
  const std::string json = comparison_json(comparison, options.sort), csv = comparison_csv(comparison);
  write_comparison(folder, json, csv);
  print_comparison(comparison, folder, json, csv, options, globals);
  for (const ComparedRun& run : comparison.runs)
    if (run.status == RunStatus::failed) globals.exit_code = 1;
}

}  // namespace

void add_compare_command(CLI::App& app, Globals& globals) {
  const auto options = std::make_shared<CompareOptions>();
  CLI::App* command = app.add_subcommand("compare", "Run scenarios, or variants of one, and show them in one table");
  CompareRequest& request = options->request;
  command->add_option("scenarios", request.files, "Scenario files (YAML or JSON)")->required();
  command
      ->add_option("--vary", request.vary,
                   "Values of a key, all combinations of all --vary: --vary layout.experts.ep=8,16 (repeatable)")
      ->allow_extra_args(false);
  command->add_flag("--zip", request.zip, "Pair the values of several --vary, the first of each, then the second");
  command->add_option("--set", request.set, "Override one value in every run: --set workload.steps=20 (repeatable)")
      ->allow_extra_args(false);
  command->add_option("--sort", options->sort,
                      "Column to sort by, best first: step, throughput, memory, gpu_load, a varied key ...");
  CLI::Option* csv = command->add_flag("--csv", options->csv, "Print the table as CSV on stdout");
  command->add_option("--out", options->out, "Result folder (default: a fresh numbered folder under out/)");
  command->add_flag("--force", options->force, "Replace the results in a folder that is not empty");
  command->add_option("--jobs", options->jobs, "Runs at once (default: one a core)")->check(whole_number(1, kMostJobs));
  command->add_flag("--yes", request.yes, "Do 10,000 runs and more");
  add_common_options(*command, globals, "  moesim compare scenarios/qwen3_235b_tp8.yaml scenarios/qwen3_235b_ep8.yaml",
                     "  moesim compare scenarios/deepseek_v3_decode_ep32.yaml --vary placement.policy=linear,eplb "
                     "--vary placement.redundant=0,32 --sort throughput");
  csv->excludes(command->get_option("--json"));
  command->callback([options, &globals] { compare(*options, globals); });
}

}  // namespace moesim
