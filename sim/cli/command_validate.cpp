#include <map>
#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/core.h>

#include "sim/cli/atomic_file.hpp"
#include "sim/cli/command.hpp"
#include "sim/cli/compare_workers.hpp"
#include "sim/cli/signals.hpp"
#include "sim/cli/usage.hpp"
#include "sim/validate/validation.hpp"

namespace moesim {
namespace {

struct ValidateOptions {
  std::string folder, csv;
  std::vector<std::string> only;
  std::string kernels = "engine";
  bool summary = false, force = false;
  int jobs = 0;  ///< 0: one a core
};

/// Every scenario once, each in a process of its own.
void simulate_all(Validation& validation, const ValidateOptions& options, bool quiet) {
  const std::vector<std::string> scenarios = scenarios_of(validation);
  std::vector<WorkerResult> results;
  try {
    const auto work = [&](std::size_t i) { return answer_text(simulate_step(scenarios[i])); };
    results = run_workers(scenarios.size(), options.jobs, work, progress_on_terminal(quiet));
  } catch (const Interrupted& interrupt) {
    end_by_signal(interrupt.signal);
  }
  StepAnswers answers;
  std::map<std::string, std::string> failures;
  for (std::size_t i = 0; i < scenarios.size(); ++i)
    if (results[i].failure.empty())
      answers.emplace(scenarios[i], read_answer(results[i].answer));
    else
      failures.emplace(scenarios[i], results[i].failure);
  predict_all(validation, answers, failures);
}

void validate(const ValidateOptions& options, Globals& globals) {
  if (!options.csv.empty()) {
    check_outputs({{"--csv", options.csv}}, options.force);
    check_writable({"--csv", options.csv});
  }
  Validation validation = read_validation(options.folder, options.only,
                                          options.kernels == "roofline" ? KernelsOf::roofline : KernelsOf::engine);
  simulate_all(validation, options, globals.quiet);
  if (!options.csv.empty()) write_file_atomically(options.csv, validation_csv(validation));
  fmt::print("{}", globals.json ? validation_json(validation) : validation_text(validation, !options.summary));
  for (const ValidatedCase& one : validation.cases)
    if (one.status == CaseStatus::failed) globals.exit_code = 1;
}

}  // namespace

void add_validate_command(CLI::App& app, Globals& globals) {
  const auto options = std::make_shared<ValidateOptions>();
  CLI::App* command = app.add_subcommand("validate", "Predict what others measured, row by row, and show the errors");
  command->add_option("folder", options->folder, "Folder with measured .csv files, known by name or by header")
      ->required();
  command
      ->add_option("--only", options->only,
                   "A file of the folder, or a part of a group's name as 'gpt-oss-120b, h100' (repeatable)")
      ->allow_extra_args(false);
  command
      ->add_option("--kernels", options->kernels,
                   "engine: measured kernels of a row's GPU and engine where they ship, else the roofline; roofline: "
                   "never measured ones")
      ->check(one_of({"engine", "roofline"}));
  command->add_option("--csv", options->csv, "Write every row as CSV to this file");
  command->add_flag("--force", options->force, "Replace the file of --csv");
  command->add_flag("--summary", options->summary, "Leave the compared rows out of the text");
  command->add_option("--jobs", options->jobs, "Simulations at once (default: one a core)")
      ->check(whole_number(1, kMostJobs));
  add_common_options(*command, globals, "  moesim validate ../shared/data/ground_truth --summary",
                     "  moesim validate ../shared/data/ground_truth --only silicon_e2e_open --csv out/open.csv --json");
  command->callback([options, &globals] { validate(*options, globals); });
}

}  // namespace moesim
