#include "sim/cli/usage.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

#include <fmt/format.h>

namespace moesim {
namespace {

/// CLI11 puts the option's name before it.
std::string refusal(const std::string& found, const std::string& expected, const std::string& hint = {}) {
  const std::string text = InputError{"", "'" + found + "'", expected, hint}.what();
  return text.substr(2);  // the ": " after no name
}

template <class Number>
std::optional<Number> read_whole(const std::string& text) {
  Number number{};
  const auto [rest, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failure != std::errc{} || rest != text.data() + text.size()) return std::nullopt;
  return number;
}

template <class Number>
CLI::Validator within(Number least, Number most, const char* kind) {
  const std::string expected = fmt::format("{} from {} to {}", kind, least, most);
  return {[least, most, expected](const std::string& text) {
            const auto value = read_whole<Number>(text);
            return value && *value >= least && *value <= most ? "" : refusal(text, expected);  // NaN is in no range
          },
          fmt::format("{}..{}", least, most)};
}

/// The command that was asked for, from the main one down.
std::vector<const CLI::App*> commands_of(const CLI::App& app) {
  std::vector<const CLI::App*> levels{&app};
  while (!levels.back()->get_subcommands().empty()) levels.push_back(levels.back()->get_subcommands().front());
  return levels;
}

/// "run", "routing fit", "" for the main one.
std::string path_of(const CLI::App& command) {
  if (command.get_parent() == nullptr) return {};
  const std::string above = path_of(*command.get_parent());
  return above.empty() ? command.get_name() : above + " " + command.get_name();
}

std::vector<std::string> subcommand_names(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::App* below : command.get_subcommands({})) names.push_back(below->get_name());
  return names;
}

std::vector<std::string> option_names(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::Option* option : command.get_options())
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  return names;
}

/// The first word that a command could not take, if it looks like an option or not.
std::optional<std::string> left_over(const CLI::App& command, bool option) {
  for (const std::string& word : command.remaining())
    if ((word.size() > 1 && word[0] == '-') == option) return word;
  return std::nullopt;
}

InputError unknown_option(const CLI::App& command, const std::string& word) {
  const std::string name = word.substr(0, word.find('=')), path = path_of(command);
  return InputError{path.empty() ? "command" : path, "the unknown option " + name,
                    fmt::format("one of `moesim {}--help`", path.empty() ? "" : path + " "),
                    nearest(name, option_names(command))};
}

/// A word where a command should stand (or nothing).
InputError unknown_command(const CLI::App& command, const std::optional<std::string>& word) {
  const std::vector<std::string> names = subcommand_names(command);
  return InputError{command.get_parent() == nullptr ? "command" : path_of(command),
                    word ? "'" + *word + "'" : "no command", fmt::format("one of {}", fmt::join(names, ", ")),
                    word ? nearest(*word, names) : ""};
}

}  // namespace

CLI::Validator one_of(const std::vector<std::string>& names) {
  return {[names](const std::string& text) {
            if (std::find(names.begin(), names.end(), text) != names.end()) return std::string{};
            return refusal(text, fmt::format("one of {}", fmt::join(names, ", ")), nearest(text, names));
          },
          fmt::format("{{{}}}", fmt::join(names, ","))};
}

CLI::Validator whole_number(std::int64_t least, std::int64_t most) {
  return within(least, most, "a whole number");
}

CLI::Validator number(double least, double most) {
  return within(least, most, "a number");
}

void refuse_empty_values(CLI::App& app) {
  const CLI::Validator not_empty{
      [](const std::string& text) { return text.empty() ? "got an empty text, expected a value" : std::string{}; }, ""};
  for (CLI::Option* option : app.get_options())
    if (option->get_items_expected_max() > 0) option->check(not_empty);
  for (CLI::App* command : app.get_subcommands({})) refuse_empty_values(*command);
}

InputError mixed_phases(const std::string& command, const std::string& prefill, const std::string& decode) {
  return InputError{command, fmt::format("prefill ({}) beside decode ({})", prefill, decode),
                    "one workload.phase: tokens of a prompt and of an answer are different units"};
}

bool is_refusal(const CLI::App& app, const CLI::ParseError& error) {
  return error.get_exit_code() != 0 || left_over(app, false);
}

std::string usage_message(const CLI::App& app, const CLI::ParseError& error) {
  const std::vector<const CLI::App*> levels = commands_of(app);
  for (const CLI::App* command : levels)
    if (const auto word = left_over(*command, true)) return unknown_option(*command, *word).what();
  for (const CLI::App* command : levels) {
    const auto word = left_over(*command, false);
    const bool group = !command->get_subcommands({}).empty();
    if (group && (word || command == levels.back())) return unknown_command(*command, word).what();
    if (word)
      return InputError{path_of(*command), "'" + *word + "' too",
                        "only what `moesim " + path_of(*command) + " --help` lists"}
          .what();
  }
  return fmt::format("{}: {} (see `moesim {} --help`)", path_of(*levels.back()), error.what(), path_of(*levels.back()));
}

}  // namespace moesim
