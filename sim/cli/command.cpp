#include "sim/cli/command.hpp"

#include <CLI/CLI.hpp>
#include <fmt/core.h>

namespace moesim {

void add_common_options(CLI::App& command, Globals& globals, const std::string& first_example,
                        const std::string& second_example) {
  command.add_flag("--json", globals.json, "Print one JSON document on stdout");
  command.add_flag("--quiet", globals.quiet, "No progress on stderr");
  command.footer("Examples:\n" + first_example + "\n" + second_example);
}

void miss_requirement(const std::string& command, const std::string& what, Globals& globals) {
  fmt::print(stderr, "moesim: {}: {}\n", command, what);
  globals.exit_code = kRequirementMissing;
}

void add_commands(CLI::App& app, Globals& globals) {
  for (const auto add : {add_run_command, add_check_command, add_compare_command, add_report_command, add_plot_command,
                         add_model_command, add_topo_command, add_place_command, add_routing_command,
                         add_calibrate_command, add_profile_command, add_replay_command, add_validate_command,
                         add_list_command, add_schema_command, add_doctor_command})
    add(app, globals);
}

}  // namespace moesim
