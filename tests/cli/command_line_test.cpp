// What the command line promises whatever the command: exit codes, help, where text goes.

#include <sstream>
#include <string>
#include <vector>

#include "tests/catch_compat.hpp"
#include "tests/cli/run_command.hpp"

using namespace moesim::testing;
using Catch::Matchers::Contains;

namespace {

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in{text};
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

/// The names under "Subcommands:" of the main help, whose lines read "  NAME   what it does".
std::vector<std::string> commands_in_help() {
  std::vector<std::string> commands;
  bool listing = false;
  for (const std::string& line : lines_of(run_command({"--help"}).out)) {
    if (line.rfind("Subcommands:", 0) == 0)
      listing = true;
    else if (line.empty())
      listing = false;
    else if (listing && line.rfind("  ", 0) == 0 && line.size() > 2 && line[2] != ' ')
      commands.push_back(line.substr(2, line.find(' ', 2) - 2));
  }
  return commands;
}

/// Lines after "Examples:" that start with "moesim NAME".
int examples_in(const std::string& help, const std::string& command) {
  int examples = 0;
  bool listing = false;
  for (const std::string& line : lines_of(help)) {
    const auto text = line.find_first_not_of(' ');
    listing |= line.rfind("Examples:", 0) == 0;
    if (listing && text != std::string::npos && line.rfind("moesim " + command, text) == text) ++examples;
  }
  return examples;
}

}  // namespace

TEST_CASE("The version goes to stdout and nothing else with it", "[cli]") {
  const CommandResult result = run_command({"--version"});
  CHECK(result.exit == 0);
  CHECK_THAT(result.out, Catch::Matchers::StartsWith("moesim " MOESIM_EXPECTED_VERSION));
  CHECK(result.err.empty());
}

TEST_CASE("An unknown command is a usage error on stderr", "[cli]") {
  const CommandResult result = run_command({"frobnicate"});
  CHECK(result.exit == 2);
  CHECK(result.out.empty());
  CHECK_THAT(result.err, Contains("command: got 'frobnicate', expected one of run, check, "));
  CHECK_THAT(run_command({"docter"}).err, Contains("did you mean doctor?"));
}

TEST_CASE("No command at all is a usage error that shows the help and the first steps", "[cli]") {
  const CommandResult result = run_command({});
  CHECK(result.exit == 2);
  CHECK(result.out.empty());
  CHECK(result.err == "moesim: a command is needed\n\n" + run_command({"--help"}).out + "\n");
  CHECK_THAT(result.err, Contains("First steps:\n  moesim check scenarios/quickstart.yaml"));
}

TEST_CASE("An unknown option of a command is a usage error that names it", "[cli]") {
  for (const std::string& command : commands_in_help()) {
    INFO("command " << command);
    const CommandResult result = run_command({command, "--no-such-option"});
    CHECK(result.exit == 2);
    CHECK(result.out.empty());
    CHECK_FALSE(result.err.empty());
  }
}

TEST_CASE("Every command's help has two examples, --json and --quiet", "[cli]") {
  const std::vector<std::string> commands = commands_in_help();
  REQUIRE(commands.size() >= 3);  // doctor, list, schema at least: an empty list would check nothing
  for (const std::string& command : commands) {
    INFO("command " << command);
    const CommandResult help = run_command({command, "--help"});
    CHECK(help.exit == 0);
    CHECK(help.err.empty());
    CHECK(examples_in(help.out, command) >= 2);
    CHECK_THAT(help.out, Contains("--json"));
    CHECK_THAT(help.out, Contains("--quiet"));
  }
}
