#include <filesystem>
#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "models/units/error.hpp"
#include "sim/cli/atomic_file.hpp"
#include "sim/cli/command.hpp"
#include "sim/cli/report.hpp"
#include "sim/cli/terminal.hpp"

namespace moesim {
namespace fs = std::filesystem;
namespace {

struct ReportOptions {
  std::vector<std::string> folders;
  std::string out;
  bool force = false;
};

/// Into the folder itself when there is one; results of several belong to none of them.
fs::path report_file(const ReportOptions& options) {
  if (!options.out.empty()) {
    check_outputs({{"--out", options.out}}, options.force);
    return options.out;
  }
  if (options.folders.size() > 1)
    throw InputError{"--out", "nothing", "a file for the report of several folders, as --out report.html"};
  return fs::path{options.folders.front()} / "report.html";
}

void report(const ReportOptions& options, const Globals& globals) {
  const fs::path file = report_file(options);
  const std::vector<fs::path> folders{options.folders.begin(), options.folders.end()};
  write_report(folders, file, options.out.empty() ? AtLink::replace : AtLink::follow);
  if (globals.json)
    fmt::print("{}\n", nlohmann::ordered_json{{"report", file.string()}, {"bytes", fs::file_size(file)}}.dump(
                           2, ' ', false, nlohmann::json::error_handler_t::replace));
  else
    fmt::print("report {}\n", printable(file.string()));
}

}  // namespace

void add_report_command(CLI::App& app, Globals& globals) {
  const auto options = std::make_shared<ReportOptions>();
  CLI::App* command = app.add_subcommand("report", "Write report.html from results: one file, needs no network");
  command->add_option("folders", options->folders, "Result folders of run or compare; several are compared")
      ->required();
  command->add_option("--out", options->out, "The file to write (default: report.html in the folder)");
  command->add_flag("--force", options->force, "Replace a file that is there");
  add_common_options(*command, globals, "  moesim report out/0001-quickstart",
                     "  moesim report out/tp8 out/ep8 --out tp-or-ep.html");
  command->callback([options, &globals] { report(*options, globals); });
}

}  // namespace moesim
