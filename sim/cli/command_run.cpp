#include <chrono>
#include <memory>
#include <optional>

#include <CLI/CLI.hpp>
#include <fmt/core.h>

#include "models/units/error.hpp"
#include "sim/cli/command.hpp"
#include "sim/cli/overrides.hpp"
#include "sim/cli/report.hpp"
#include "sim/cli/results.hpp"
#include "sim/cli/terminal.hpp"
#include "sim/cli/trace_options.hpp"
#include "sim/cli/usage.hpp"
#include "sim/metrics/summary_json.hpp"
#include "sim/simulate.hpp"

namespace moesim {
namespace {

constexpr int kMostAudited = 1'000'000;  // more than any run has layers to redo in a day

struct RunOptions {
  std::string scenario, out;
  std::vector<std::string> set;
  bool force = false;
  std::optional<int> audit;
  TraceOptions trace;
};

void run(const RunOptions& options, const Globals& globals) {
  const auto start = std::chrono::steady_clock::now();
  TraceOutput trace{options.trace, options.out, options.force};
  const Scenario scenario = load_scenario(options.scenario, parse_overrides(options.set));
  const auto folder = choose_result_folder(options.out, scenario.name, options.force);
  try {
    const Summary summary = simulate(scenario, options.audit, trace.listener());
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    trace.prepare(summary);
    write_results(folder, scenario, summary, Seconds{took.count()});
    write_report({folder}, folder / "report.html");
    trace.write();
    if (globals.json) {
      fmt::print("{}", summary_json(summary));
      if (!globals.quiet) fmt::print(stderr, "{}", trace.message());
      return;
    }
    fmt::print("{}  report {}\n", terminal_summary(summary, wants_colour()), (folder / "report.html").string());
    if (const std::string message = trace.message(); !message.empty()) fmt::print("  {}", message);
  } catch (...) {
    std::error_code ignored;
    if (options.out.empty()) std::filesystem::remove(folder, ignored);  // the claimed folder, if still empty
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
  add_common_options(*command, globals, "  moesim run scenarios/quickstart.yaml",
                     "  moesim run scenarios/quickstart.yaml --set workload.tokens_per_gpu=128 --out out/a --json");
  command->callback([options, &globals] { run(*options, globals); });
}

}  // namespace moesim
