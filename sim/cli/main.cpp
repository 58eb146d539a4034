#include <cstdio>
#include <exception>
#include <new>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "models/units/error.hpp"
#include "sim/cli/command.hpp"
#include "sim/cli/usage.hpp"

namespace {

enum Exit { kDone = 0, kFailed = 1, kUsage = 2, kInfeasible = 4 };

int report(int code, const char* kind, const std::string& message) {
  fmt::print(stderr, "moesim: {}{}\n", kind, message);
  return code;
}

constexpr const char* kFirstSteps =
    "First steps:\n"
    "  moesim check scenarios/quickstart.yaml   is the scenario right, and does it fit in memory?\n"
    "  moesim run scenarios/quickstart.yaml     throughput, where a step's time goes, hotspots\n"
    "  moesim list models                       what a scenario may name; also gpus, nics, switches, policies, "
    "routing, fabrics\n"
    "  moesim COMMAND --help                    options and examples of a command";

int dispatch(int argc, char** argv) {
  CLI::App app{"Predicts what a Mixture-of-Experts model will do on a GPU cluster: throughput, memory fit, hotspots.",
               "moesim"};
  app.require_subcommand(1);
  app.footer(kFirstSteps);
  app.set_version_flag("--version", std::string{"moesim " MOESIM_VERSION});
  moesim::Globals globals;
  moesim::add_commands(app, globals);
  if (argc <= 1) return report(kUsage, "a command is needed\n\n", app.help());
  moesim::refuse_empty_values(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (moesim::is_refusal(app, error)) return report(kUsage, "", moesim::usage_message(app, error));
    return app.exit(error);
  }
  return globals.exit_code;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return dispatch(argc, argv);
  } catch (const moesim::InputError& error) {
    return report(kUsage, "", error.what());
  } catch (const moesim::Infeasible& error) {
    std::string text = error.what();
    for (const std::string& remedy : error.remedies()) text += "\n  remedy: " + remedy;
    return report(kInfeasible, "infeasible: ", text);
  } catch (const std::bad_alloc&) {
    return report(kFailed, "", "out of memory");
  } catch (const std::exception& error) {
    return report(kFailed, "failed: ", error.what());
  }
}
