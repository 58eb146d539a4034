#include "tests/cli/run_command.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <stdexcept>
#include <thread>

#include <fcntl.h>
#include <signal.h>  // NOLINT(modernize-deprecated-headers): kill is POSIX
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

namespace moesim::testing {

namespace {

[[noreturn]] void fail(const std::string& what, int error) {
  throw std::runtime_error{what + ": " + std::strerror(error)};
}

/// A nameless file instead of a pipe: a command that says much cannot block on a full pipe.
std::FILE* scratch_file() {
  std::FILE* file = std::tmpfile();
  if (file == nullptr) fail("temporary file", errno);
  return file;
}

std::string text_of(std::FILE* file) {
  std::string text;
  char buffer[1 << 16];
  std::rewind(file);
  while (const std::size_t got = std::fread(buffer, 1, sizeof buffer, file)) text.append(buffer, got);
  return text;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

std::vector<std::string> environment_with(const CommandOptions& options) {
  std::vector<std::string> result;
  for (const auto& [name, value] : options.environment) result.push_back(name + "=" + value);
  for (char** variable = ::environ; *variable != nullptr; ++variable) {
    bool replaced = false;
    for (const auto& [name, value] : options.environment)
      replaced |= std::strncmp(*variable, (name + "=").c_str(), name.size() + 1) == 0;
    if (!replaced) result.emplace_back(*variable);
  }
  return result;
}

int wait_for(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0)
    if (errno != EINTR) fail("waitpid", errno);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

RunningProgram::RunningProgram(const std::string& program, const std::vector<std::string>& arguments,
                               const CommandOptions& options)
    : out_{scratch_file(), std::fclose}, err_{scratch_file(), std::fclose} {
  std::vector<std::string> words{program};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<std::string> variables = environment_with(options);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, ::fileno(out_.get()), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, ::fileno(err_.get()), STDERR_FILENO);
  posix_spawn_file_actions_addchdir_np(&actions, options.folder.c_str());
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t usual;
  sigemptyset(&usual);
  sigaddset(&usual, SIGINT);
  sigaddset(&usual, SIGTERM);
  posix_spawnattr_setsigdefault(&attributes, &usual);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  const int error = ::posix_spawnp(&process_, program.c_str(), &actions, &attributes, pointers(words).data(),
                                   pointers(variables).data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) fail("cannot start " + program + " in " + options.folder, error);
}

RunningProgram::~RunningProgram() {
  if (process_ == 0) return;
  send(SIGKILL);
  ::waitpid(process_, nullptr, 0);
}

void RunningProgram::send(int signal) const {
  if (::kill(process_, signal) != 0) fail("kill", errno);
}

CommandResult RunningProgram::wait() {
  const int exit = wait_for(std::exchange(process_, 0));
  return {exit, text_of(out_.get()), text_of(err_.get())};
}

pid_t RunningProgram::next_child(const std::vector<pid_t>& known) const {
  const std::string process = std::to_string(process_), list = "/proc/" + process + "/task/" + process + "/children";
  pid_t found = 0;
  soon([&] {
    std::ifstream in{list};
    for (pid_t child = 0; found == 0 && in >> child;)
      if (std::find(known.begin(), known.end(), child) == known.end()) found = child;
    return found != 0;
  });
  return found;
}

bool soon(const std::function<bool()>& claim) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds{10};
  while (!claim()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds{5});
  }
  return true;
}

bool runs(pid_t process) {
  std::ifstream in{"/proc/" + std::to_string(process) + "/stat"};
  std::string line;
  if (!std::getline(in, line)) return false;
  return line.at(line.rfind(')') + 2) != 'Z';
}

RunningProgram start_command(const std::vector<std::string>& arguments, const CommandOptions& options) {
  return {MOESIM_BINARY, arguments, options};
}

CommandResult run_program(const std::string& program, const std::vector<std::string>& arguments,
                          const CommandOptions& options) {
  return RunningProgram{program, arguments, options}.wait();
}

CommandResult run_command(const std::vector<std::string>& arguments, const CommandOptions& options) {
  return run_program(MOESIM_BINARY, arguments, options);
}

}  // namespace moesim::testing
