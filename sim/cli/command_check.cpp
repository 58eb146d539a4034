#include <cstdio>
#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "models/layout/layout.hpp"
#include "sim/cli/command.hpp"
#include "sim/cli/overrides.hpp"
#include "sim/cli/terminal.hpp"
#include "sim/metrics/summary_json.hpp"
#include "sim/simulate.hpp"

namespace moesim {
namespace {

struct CheckOptions {
  std::string scenario;
  std::vector<std::string> set;
  bool resolved = false;
};

std::string layout_line(const Scenario& scenario) {
  return describe(
      make_layout(scenario.layout, scenario.model, scenario.cluster.gpus(), scenario.communication.all_to_all));
}

nlohmann::ordered_json as_json(const Scenario& scenario, const MemoryVerdict& verdict) {
  const MemoryFit& memory = verdict.fit;
  nlohmann::ordered_json resolved = nlohmann::ordered_json::array();
  for (const ResolvedValue& item : scenario.resolved)
    resolved.push_back({{"path", item.path},
                        {"value", item.value.empty() ? nlohmann::ordered_json{} : nlohmann::ordered_json(item.value)},
                        {"origin", item.origin}});
  return {{"ok", memory.fits},
          {"scenario", scenario.name},
          {"question", scenario.question},
          {"scenario_hash", scenario_hash(scenario)},
          {"model", scenario.model.name},
          {"gpu", scenario.cluster.gpu.name},
          {"nodes", scenario.cluster.nodes},
          {"gpus", scenario.cluster.gpus()},
          {"layout", layout_line(scenario)},
          {"memory", nlohmann::ordered_json::parse(memory_json(memory))},
          {"resolved", resolved},
          {"notes", verdict.notes}};
}

void print_for_people(const Scenario& scenario, const MemoryVerdict& verdict) {
  const MemoryFit& memory = verdict.fit;
  const WorkloadSpec& workload = scenario.workload;
  fmt::print("{}: {}, {} on {} x {} ({} node{}), {}, {}, {} tokens/GPU, context {}, {} step{}\n", scenario.name,
             memory.fits ? "ok" : "does not fit", scenario.model.name, scenario.cluster.gpus(),
             scenario.cluster.gpu.name, scenario.cluster.nodes, scenario.cluster.nodes == 1 ? "" : "s",
             layout_line(scenario), name_of(workload.phase), workload.tokens_per_gpu, workload.context, workload.steps,
             workload.steps == 1 ? "" : "s");
  fmt::print("{}{}", memory_table(memory, wants_colour()), note_lines(verdict.notes));
}

void check(const CheckOptions& options, const Globals& globals) {
  const Scenario scenario = load_scenario(options.scenario, parse_overrides(options.set));
  const MemoryVerdict memory = check_memory(scenario);
  if (globals.json)
    fmt::print("{}\n", as_json(scenario, memory).dump(2));
  else if (options.resolved)
    fmt::print("{}", resolved_yaml(scenario));
  else
    print_for_people(scenario, memory);
  if (memory.misfit) {
    std::fflush(stdout);  // what was found comes before the verdict, also in one file
    throw Infeasible{*memory.misfit};
  }
}

}  // namespace

void add_check_command(CLI::App& app, Globals& globals) {
  const auto options = std::make_shared<CheckOptions>();
  CLI::App* command = app.add_subcommand("check", "Check a scenario and its memory fit without running it");
  command->add_option("scenario", options->scenario, "Scenario file (YAML or JSON)")->required();
  command->add_option("--set", options->set, "Override one value: --set layout.experts.ep=16 (repeatable)")
      ->allow_extra_args(false);  // one value each, so that it may stand before the scenario
  command->add_flag("--resolved", options->resolved, "Print every key with its value and where it comes from, as YAML");
  add_common_options(*command, globals, "  moesim check scenarios/quickstart.yaml",
                     "  moesim check scenarios/quickstart.yaml --set workload.context=8192 --resolved");
  command->callback([options, &globals] { check(*options, globals); });
}

}  // namespace moesim
