#include <algorithm>
#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "models/units/error.hpp"
#include "models/units/resources.hpp"
#include "sim/cli/command.hpp"
#include "sim/scenario/scenario.hpp"

namespace moesim {
namespace {

constexpr std::string_view kSuffix = ".schema";  // files are NAME.schema.json

std::vector<std::string> schema_names() {
  std::vector<std::string> names;
  for (const std::string& stem : resource_names(Resource::schema))
    if (stem.ends_with(kSuffix)) names.push_back(stem.substr(0, stem.size() - kSuffix.size()));
  return names;
}

/// The scenario's schema is made from the parser's own table; the others are the committed files.
std::string schema_text(const std::string& name) {
  if (name == "scenario") return scenario_schema();
  const std::vector<std::string> names = schema_names();
  if (std::find(names.begin(), names.end(), name) == names.end())
    throw InputError{"schema", "'" + name + "'", fmt::format("one of {}", fmt::join(names, ", ")),
                     nearest(name, names)};
  return read_text_file(resource_folder(Resource::schema) / fmt::format("{}{}.json", name, kSuffix));
}

}  // namespace

void add_schema_command(CLI::App& app, Globals& globals) {
  const auto name = std::make_shared<std::string>("scenario");
  const auto list = std::make_shared<bool>(false);
  CLI::App* command =
      app.add_subcommand("schema", "Print the JSON Schema (draft-07) of scenarios or of a command's --json output");
  command->add_option("name", *name, "scenario (default), or a name of --list");
  command->add_flag("--list", *list, "Print the names of all schemas instead");
  add_common_options(*command, globals, "  moesim schema > scenario.schema.json", "  moesim schema --list");
  command->callback([name, list, &globals] {
    if (!*list)
      fmt::print("{}", schema_text(*name));
    else if (globals.json)
      fmt::print("[\"{}\"]\n", fmt::join(schema_names(), "\", \""));
    else
      fmt::print("{}\n", fmt::join(schema_names(), "\n"));
  });
}

}  // namespace moesim
