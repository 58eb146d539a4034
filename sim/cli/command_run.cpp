#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>

#include <CLI/CLI.hpp>
#include <fmt/core.h>

#include "models/units/error.hpp"
#include "sim/cli/atomic_file.hpp"
#include "sim/cli/command.hpp"
#include "sim/cli/compare_workers.hpp"
#include "sim/cli/overrides.hpp"
#include "sim/cli/remedy_runs.hpp"
#include "sim/cli/report.hpp"
#include "sim/cli/results.hpp"
#include "sim/cli/signals.hpp"
#include "sim/cli/terminal.hpp"
#include "sim/cli/trace_options.hpp"
#include "sim/cli/usage.hpp"
#include "sim/metrics/summary_json.hpp"
#include "sim/simulate.hpp"

namespace moesim {
namespace fs = std::filesystem;
namespace {

constexpr int kMostAudited = 1'000'000;  // more than any run has layers to redo in a day
constexpr auto kNothingWritten = "interrupted: no results were written";
constexpr int kMostRemedies = 10;  // as many as there are hotspots

struct RunOptions {
  std::string scenario, out;
  std::vector<std::string> set;
  bool force = false;
  std::optional<int> audit;
  TraceOptions trace;
  int remedies = 0;
};

std::vector<RemedyRun> rerun(const RunOptions& options, bool quiet) {
  if (options.remedies == 0) return {};
  return run_remedies(options.scenario, parse_overrides(options.set), options.remedies, progress_on_terminal(quiet));
}

/// Without what says only where results go.
std::string command_again(const RunOptions& options) {
  std::string command = run_command_text(options.scenario, parse_overrides(options.set));
  if (options.audit) command += fmt::format(" --audit {}", *options.audit);
  if (options.remedies > 0) command += fmt::format(" --remedies {}", options.remedies);
  return command;
}

void write_all(const fs::path& folder, const Scenario& scenario, const Summary& summary, const RunFacts& facts,
               const TraceOutput& trace) {
  write_results(folder, scenario, summary, facts);
  write_report({folder}, folder / "report.html", AtLink::replace);
  trace.write();
}

/// What to say of fewer reruns than were asked for.
std::string rerun_note(int asked, std::size_t reruns) {
  if (static_cast<std::size_t>(asked) <= reruns) return "";
  if (reruns == 0) return "  remedies   none to rerun: no hotspot has one that a scenario can state\n";
  return fmt::format("  remedies   {} of {} asked for: the hotspots have no others that a scenario can state\n", reruns,
                     asked);
}

void print_all(const RunOptions& options, const fs::path& folder, const Summary& summary, std::size_t reruns,
               const TraceOutput& trace, const Globals& globals) {
  const std::string message = trace.message();
  if (globals.json) {
    fmt::print("{}", summary_json(summary));
    if (!globals.quiet) fmt::print(stderr, "{}", message);
    return;
  }
  fmt::print("{}{}  report {}\n", terminal_summary(summary, wants_colour()), rerun_note(options.remedies, reruns),
             printable((folder / "report.html").string()));
  if (!message.empty()) fmt::print("  {}", message);
}

/// SimGrid takes SIGINT for itself when it starts, and would end without a word.
ListenerMaker keeping(LastWords& last_words, const ListenerMaker& listen) {
  return [&last_words, listen](const RunShape& shape) -> Listener {
    return [&last_words, listener = listen ? listen(shape) : nullptr, is_first = true](const Event& event) mutable {
      if (is_first) last_words.listen();
      is_first = false;
      if (listener) listener(event);
    };
  };
}

void simulate_into(const fs::path& folder, const Scenario& scenario, const RunOptions& options, TraceOutput& trace,
                   LastWords& last_words, Globals& globals) {
  const auto start = std::chrono::steady_clock::now();
  const std::vector<RemedyRun> reruns = rerun(options, globals.quiet);
  Summary summary = simulate(scenario, options.audit, keeping(last_words, trace.listener()));
  add_gains(reruns, summary);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  trace.prepare(summary);
  {
    const HoldSignals until_whole;
    write_all(folder, scenario, summary, {command_again(options), Seconds{took.count()}}, trace);
    last_words.say(fmt::format("interrupted: the results are whole in {}", folder.string()));
  }
  if (std::any_of(reruns.begin(), reruns.end(), [](const RemedyRun& one) { return one.died; })) globals.exit_code = 1;
  print_all(options, folder, summary, reruns.size(), trace, globals);
}

void run(const RunOptions& options, Globals& globals) {
  LastWords last_words{kNothingWritten};
  TraceOutput trace{options.trace, options.out, options.force};
  const Scenario scenario = load_scenario(options.scenario, parse_overrides(options.set));
  const fs::path folder = choose_result_folder(options.out, scenario.name, options.force);
  const fs::path claimed = options.out.empty() ? folder : fs::path{};  // removed if the run leaves it empty
  last_words.say(kNothingWritten, claimed);
  try {
    simulate_into(folder, scenario, options, trace, last_words, globals);
  } catch (const Interrupted& interrupt) {
    end_by_signal(interrupt.signal);
  } catch (...) {
    std::error_code ignored;
    if (!claimed.empty()) fs::remove(claimed, ignored);
    throw;
  }
}

}  // namespace

void add_run_command(CLI::App& app, Globals& globals) {
  const auto options = std::make_shared<RunOptions>();
  CLI::App* command = app.add_subcommand("run", "Simulate a scenario and write its results");
  command->add_option("scenario", options->scenario, "Scenario file (YAML or JSON)")->required();
  command->add_option("--set", options->set, "Override one value: --set layout.experts.ep=16 (repeatable)")
      ->allow_extra_args(false);
  command->add_option("--out", options->out, "Result folder (default: a fresh numbered folder under out/)");
  command->add_flag("--force", options->force, "Replace the results in a folder that is not empty, and the trace");
  command
      ->add_option("--audit", options->audit,
                   "MoE layers to redo token by token and as flows, 0 for none (default: what a tenth of the run buys)")
      ->check(whole_number(0, kMostAudited));
  add_trace_options(*command, options->trace);
  command
      ->add_option("--remedies", options->remedies,
                   "Run again with the remedies of the worst hotspots, this many different ones, to see what each "
                   "gains (default: 0)")
      ->check(whole_number(0, kMostRemedies));
  add_common_options(*command, globals, "  moesim run scenarios/quickstart.yaml",
                     "  moesim run scenarios/deepseek_v3_decode_ep32.yaml --set workload.steps=20 --remedies 2 --json");
  command->callback([options, &globals] { run(*options, globals); });
}

}  // namespace moesim
