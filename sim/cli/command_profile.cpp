#include <filesystem>
#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "models/units/error.hpp"
#include "models/units/utf8.hpp"
#include "sim/cli/atomic_file.hpp"
#include "sim/cli/command.hpp"
#include "sim/cli/import_output.hpp"
#include "sim/cli/profile_comparison.hpp"
#include "sim/cli/profile_output.hpp"
#include "sim/cli/usage.hpp"

namespace moesim {
namespace fs = std::filesystem;
namespace {

struct ImportOptions {
  std::string from, tables, out;
  ImportRequest request;
  bool force = false;
};

/// What becomes text of the profile.
void check_texts(const ImportOptions& options) {
  const ImportRequest& of = options.request;
  const std::pair<const char*, const std::string&> texts[] = {
      {"TABLES", options.tables}, {"--name", of.name},       {"--source", of.source}, {"--revision", of.revision},
      {"--date", of.date},        {"--licence", of.licence}, {"--device", of.device}};
  for (const auto& [name, text] : texts) {
    if (const auto at = not_printable(text))
      throw InputError{name, fmt::format("the byte 0x{:02X}", static_cast<unsigned char>(text[*at])),
                       "text in UTF-8 without control characters"};
  }
}

void import_profile(const ImportOptions& options, const Globals& globals) {
  check_texts(options);
  std::error_code other;
  if (fs::equivalent(options.tables, options.out, other))
    throw InputError{"--out", fmt::format("'{}', which are the tables", options.out), "another file"};
  check_outputs({{"--out", options.out}}, options.force);
  check_writable({"--out", options.out});
  const Imported imported = options.from == "csv" ? import_csv(options.tables, options.request)
                                                  : import_aiconfigurator(options.tables, options.request);
  const std::string text = kernel_model_text(imported.model);
  write_file_atomically(options.out, text);
  if (globals.json) {
    fmt::print("{}\n", import_json(imported, options.out, text.size()));
  } else {
    fmt::print("{}", import_text(imported, options.out, text.size()));
  }
}

void add_import(CLI::App& profile, Globals& globals) {
  const auto options = std::make_shared<ImportOptions>();
  CLI::App* command = profile.add_subcommand("import", "Fit a profile to measured tables, others' or your own");
  command->add_option("--from", options->from, "How the tables are stored")
      ->required()
      ->check(one_of({"aiconfigurator", "csv"}));
  command->add_option("TABLES", options->tables, "The folder of one GPU; csv: the file")->required();
  command->add_option("--out", options->out, "The profile to write")->required();
  command->add_option("--gpu", options->request.gpu, "Entry of `moesim list gpus` (auto: from the tables' device)")
      ->capture_default_str();
  command->add_option("--name", options->request.name, "Of the profile (else the GPU's; csv: the file's)");
  command->add_option("--source", options->request.source,
                      "Who published the times (csv without it: they are your own)");
  command->add_option("--revision", options->request.revision, "Which state of the tables");
  command->add_option("--date", options->request.date, "Of the tables");
  command->add_option("--licence", options->request.licence, "Of the tables");
  command->add_option("--device", options->request.device, "What was measured, where the tables do not say");
  command->add_option("--nccl", options->request.nccl, "Version of NCCL whose collectives are taken (auto: the newest)")
      ->capture_default_str();
  command->add_flag("--force", options->force, "Replace a profile that is there");
  add_common_options(
      *command, globals,
      "  moesim profile import --from aiconfigurator ../shared/data/kernels/h100_sxm --out out/h100.json",
      "  moesim profile import --from csv mine.csv --gpu h100-sxm --out out/mine.json --json");
  command->callback([options, &globals] { import_profile(*options, globals); });
}

void show_profile(const std::string& file, const Globals& globals) {
  const KernelModel model = load_kernel_model(file);
  if (globals.json) {
    fmt::print("{}\n", profile_json(model));
  } else {
    fmt::print("{}", profile_text_for_people(model));
  }
}

void add_show(CLI::App& profile, Globals& globals) {
  const auto file = std::make_shared<std::string>();
  CLI::App* command = profile.add_subcommand("show", "What a profile holds, and where it is from");
  command->add_option("PROFILE", *file, "A shipped profile's name, or a file")->required();
  add_common_options(*command, globals, "  moesim profile show h100-sxm", "  moesim profile show out/h100.json --json");
  command->callback([file, &globals] { show_profile(*file, globals); });
}

struct CheckOptions {
  std::string file;
  bool strict = false;
};

void check_profile(const CheckOptions& options, Globals& globals) {
  const KernelModel model = load_kernel_model(options.file);
  if (globals.json) {
    fmt::print("{}\n", check_json(model));
  } else {
    fmt::print("{}", check_text(model));
  }
  if (options.strict && count_bounds(model).missed > 0) globals.exit_code = 1;
}

void add_check(CLI::App& profile, Globals& globals) {
  const auto options = std::make_shared<CheckOptions>();
  CLI::App* command = profile.add_subcommand("check", "Errors on held-out rows against what they must keep to");
  command->add_option("PROFILE", options->file, "A shipped profile's name, or a file")->required();
  command->add_flag("--strict", options->strict, "Exit 1 when a bound is missed (else 0: a verdict is no failure)");
  add_common_options(*command, globals, "  moesim profile check h100-sxm",
                     "  moesim profile check out/h100.json --strict --json");
  command->callback([options, &globals] { check_profile(*options, globals); });
}

struct CompareOptions {
  std::string a, b, engines;
  bool shapes = false;
};

/// "trtllm,vllm"; "" for engines of the same name.
std::pair<std::string, std::string> engines_of(const std::string& option) {
  if (option.empty()) return {};
  const std::size_t comma = option.find(',');
  if (comma == std::string::npos || comma == 0 || comma + 1 == option.size() ||
      option.find(',', comma + 1) != std::string::npos)
    throw InputError{"--engines", option, "one engine of A and one of B: trtllm,vllm"};
  return {option.substr(0, comma), option.substr(comma + 1)};
}

void compare_profiles(const CompareOptions& options, const Globals& globals) {
  const std::pair<std::string, std::string> engines = engines_of(options.engines);
  const KernelModel a = load_kernel_model(options.a), b = load_kernel_model(options.b);
  const ModelComparison comparison = compare_models(a, b, engines);
  if (globals.json) {
    fmt::print("{}\n", profile_comparison_json(a, b, comparison));
  } else {
    fmt::print("{}", profile_comparison_text(a, b, comparison, options.shapes));
  }
}

void add_compare(CLI::App& profile, Globals& globals) {
  const auto options = std::make_shared<CompareOptions>();
  CLI::App* command =
      profile.add_subcommand("compare", "Times of one profile over those of another, where both have them");
  command->add_option("A", options->a, "A shipped profile's name, or a file")->required();
  command->add_option("B", options->b, "Another one, or the same with --engines")->required();
  command->add_option("--engines", options->engines, "One engine of A and one of B (else those of the same name)");
  command->add_flag("--shapes", options->shapes, "A line for each shape, too");
  add_common_options(*command, globals, "  moesim profile compare h100-sxm b200-sxm",
                     "  moesim profile compare h100-sxm h100-sxm --engines trtllm,vllm --shapes");
  command->callback([options, &globals] { compare_profiles(*options, globals); });
}

}  // namespace

void add_profile_command(CLI::App& app, Globals& globals) {
  CLI::App* command = app.add_subcommand("profile", "Kernel times: import, show, check and compare profiles");
  command->require_subcommand(1);
  add_common_options(*command, globals, "  moesim profile show h100-sxm", "  moesim profile check h100-sxm --json");
  add_import(*command, globals);
  add_show(*command, globals);
  add_check(*command, globals);
  add_compare(*command, globals);
}

}  // namespace moesim
