#pragma once
// One file per command; each registers itself. Errors are thrown; main prints one line and picks the exit code.

#include <string>

namespace CLI {
class App;
}

namespace moesim {

struct Globals {
  bool json = false;   ///< --json: one JSON document on stdout, nothing else there
  bool quiet = false;  ///< --quiet: no progress on stderr
  int exit_code = 0;   ///< set by a command that ends in a verdict
};

/// A requirement of a command is missing: the exit code, and how it is said.
inline constexpr int kRequirementMissing = 77;
void miss_requirement(const std::string& command, const std::string& what, Globals& globals);

/// --json, --quiet and the two examples of a command's help ("  moesim model mixtral-8x7b").
void add_common_options(CLI::App& command, Globals& globals, const std::string& first_example,
                        const std::string& second_example);

/// All commands below, in the order of the help.
void add_commands(CLI::App& app, Globals& globals);

void add_run_command(CLI::App& app, Globals& globals);
void add_check_command(CLI::App& app, Globals& globals);
void add_compare_command(CLI::App& app, Globals& globals);
void add_report_command(CLI::App& app, Globals& globals);
void add_plot_command(CLI::App& app, Globals& globals);
void add_model_command(CLI::App& app, Globals& globals);
void add_topo_command(CLI::App& app, Globals& globals);
void add_place_command(CLI::App& app, Globals& globals);
void add_routing_command(CLI::App& app, Globals& globals);
void add_calibrate_command(CLI::App& app, Globals& globals);
void add_profile_command(CLI::App& app, Globals& globals);
void add_replay_command(CLI::App& app, Globals& globals);
void add_validate_command(CLI::App& app, Globals& globals);
void add_list_command(CLI::App& app, Globals& globals);
void add_schema_command(CLI::App& app, Globals& globals);
void add_doctor_command(CLI::App& app, Globals& globals);

}  // namespace moesim
