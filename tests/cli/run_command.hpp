#pragma once
// Runs the built command line as a user would, and hands back what it said.

#include <chrono>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <sys/types.h>

namespace moesim::testing {

/// The folder of the shipped scenarios.
inline const std::string kScenarios = MOESIM_TEST_SOURCE_DIR "/scenarios/";

struct CommandResult {
  int exit = 0;  ///< exit status, or 128 + the signal that ended it, as a shell says
  std::string out;
  std::string err;
};

struct CommandOptions {
  std::string folder = ".";                                           ///< current folder of the command
  std::vector<std::pair<std::string, std::string>> environment = {};  ///< set beside the inherited variables
};

/// A program that runs beside the test, looked up in PATH, without standard input; spaces and empty arguments arrive as
/// they are. SIGINT and SIGTERM end it as they usually do, whatever the test ignores.
class RunningProgram {
public:
  /// Throws std::runtime_error when it cannot be started.
  RunningProgram(const std::string& program, const std::vector<std::string>& arguments,
                 const CommandOptions& options = {});
  ~RunningProgram();  ///< kills what was not waited for
  RunningProgram(const RunningProgram&) = delete;
  RunningProgram& operator=(const RunningProgram&) = delete;

  void send(int signal) const;
  CommandResult wait();

  /// The first process that it forks and that is none of `known`; 0 after ten seconds without one.
  pid_t next_child(const std::vector<pid_t>& known = {}) const;

private:
  using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;
  File out_, err_;
  pid_t process_ = 0;
};

/// `moesim ARGS...` beside the test.
RunningProgram start_command(const std::vector<std::string>& arguments, const CommandOptions& options = {});

/// Whether it becomes true within ten seconds.
bool soon(const std::function<bool()>& claim);
/// Whether a process runs: one that has ended and that nobody has waited for does not.
bool runs(pid_t process);

/// Runs `moesim ARGS...` to its end.
CommandResult run_command(const std::vector<std::string>& arguments, const CommandOptions& options = {});

/// The same with any program.
CommandResult run_program(const std::string& program, const std::vector<std::string>& arguments,
                          const CommandOptions& options = {});

}  // namespace moesim::testing
