#pragma once
// Runs the built command line as a user would, and hands back what it said.

#include <string>
#include <utility>
#include <vector>

namespace moesim::testing {

struct CommandResult {
  int exit = 0;  ///< exit status, or 128 + the signal that ended it, as a shell says
  std::string out;
  std::string err;
};

struct CommandOptions {
  std::string folder = ".";                                           ///< current folder of the command
  std::vector<std::pair<std::string, std::string>> environment = {};  ///< set beside the inherited variables
};

/// Runs `moesim ARGS...` without standard input; spaces and empty arguments arrive as they are.
/// Throws std::runtime_error when it cannot be started.
CommandResult run_command(const std::vector<std::string>& arguments, const CommandOptions& options = {});

/// The same with any program, looked up in PATH.
CommandResult run_program(const std::string& program, const std::vector<std::string>& arguments,
                          const CommandOptions& options = {});

}  // namespace moesim::testing
