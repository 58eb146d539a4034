// What measured routing says, and what a load controller does to a router.

#include "sim/cli/command_routing.hpp"

#include <filesystem>
#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "models/units/error.hpp"
#include "models/units/resources.hpp"
#include "sim/cli/atomic_file.hpp"
#include "sim/cli/command.hpp"
#include "sim/cli/usage.hpp"

namespace moesim {
namespace {

/// The largest integer that every reader of JSON holds exactly, as of a scenario's seed.
constexpr std::int64_t kMostSeed = 9007199254740991;

struct FitOptions {
  std::string file, out;
  bool force = false;
  std::vector<std::string> where;
  RouteFitOptions fit;
};

struct ControlOptions {
  std::string model = "deepseek-v2-lite";
  double sigma = 1, spread = 0.5;
  std::uint64_t seed = 1;
  BiasControlSpec spec;
};

ColumnValues columns_of(const std::vector<std::string>& texts) {
  ColumnValues where;
  for (const std::string& text : texts) {
    const auto equals = text.find('=');
    if (equals == std::string::npos) throw InputError{"--where", text, "COLUMN=VALUE"};
    where.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  return where;
}

/// Where the shares of a fragment go. Throws InputError where that is the fragment itself.
std::filesystem::path shares_beside(const std::filesystem::path& out) {
  std::filesystem::path csv = out;
  csv.replace_extension(".csv");
  if (csv == out) throw InputError{"--out", out.string(), "a name that does not end in .csv, as fitted.yaml"};
  return csv;
}

/// No option replaces what was measured, --force included.
void spare_input(const std::filesystem::path& output, const std::string& input) {
  std::error_code failure;
  if (std::filesystem::equivalent(output, input, failure))
    throw InputError{"--out", fmt::format("'{}', which is read", output.string()), "another name"};
}

/// The fragment, and beside it the shares that it reads, if it does.
void write_fragment(const RouteFit& fit, const FitOptions& options, bool quiet) {
  const std::filesystem::path csv = shares_beside(options.out);
  const std::string yaml = routing_yaml(fit, csv.filename().string());
  if (const std::string shares = generator_csv(fit); !shares.empty()) {
    spare_input(csv, options.file);
    check_outputs({{"--out", csv}}, options.force);
    write_file_atomically(csv, shares);
  }
  write_file_atomically(options.out, yaml);
  if (!quiet) fmt::print(stderr, "wrote {}\n", options.out);
}

void fit_routing(FitOptions options, const Globals& globals) {
  if (!options.out.empty()) {
    shares_beside(options.out);
    spare_input(options.out, options.file);
    check_outputs({{"--out", options.out}}, options.force);
  }
  options.fit.where = columns_of(options.where);
  const RouteFit fit = fit_route_file(options.file, options.fit);
  if (!options.out.empty()) write_fragment(fit, options, globals.quiet);
  fmt::print("{}", globals.json ? routing_fit_json(fit) : routing_fit_text(fit));
}

void control_routing(const ControlOptions& options, const Globals& globals) {
  const Architecture model = load_architecture(options.model);
  if (!model.moe) throw InputError{"model", model.name, "a mixture of experts (see `moesim list models`)"};
  RoutingControl control{model.name, {}, options.spec, {}, {}};
  control.routing.kind = RoutingKind::logits;
  control.routing.sigma = options.sigma;
  control.routing.spread = options.spread;
  BiasControlSpec free = options.spec;
  free.rate = 0;
  control.free = run_bias_control(control.routing, model, free, options.seed);
  control.controlled = run_bias_control(control.routing, model, options.spec, options.seed);
  fmt::print("{}", globals.json ? routing_control_json(control) : routing_control_text(control));
}

void add_fit(CLI::App& routing, Globals& globals) {
  const auto options = std::make_shared<FitOptions>();
  CLI::App* command = routing.add_subcommand("fit", "Fit generators to measured loads or recorded tokens");
  command
      ->add_option("file", options->file,
                   "CSV (.gz) with layer,expert,count; or ...,layer,e0,e1,...; or layer_pair,expert_i,expert_j,count")
      ->required();
  command->add_option("--where", options->where, "Keep the rows with COLUMN=VALUE (repeatable)")
      ->allow_extra_args(false);
  command->add_option("--out", options->out,
                      "Write the fitted generator as a scenario fragment (a trace's shares go to a .csv beside it)");
  command->add_flag("--force", options->force, "Replace the files of --out");
  command->add_option("--experts", options->fit.experts, "Experts of the model, if the trace never takes the last ones")
      ->check(whole_number(1, 4096));
  command->add_option("--resamples", options->fit.resamples, "Of the bootstrap (default 400)")
      ->check(whole_number(10, 100000));
  command->add_option("--seed", options->fit.seed, "Of bootstrap and generator (default 1)")
      ->check(whole_number(0, kMostSeed));
  add_common_options(*command, globals, "  moesim routing fit token_routes.csv.gz",
                     "  moesim routing fit expert_counts.csv --where domain=law --out fitted.yaml");
  command->callback([options, &globals] { fit_routing(*options, globals); });
}

void add_control(CLI::App& routing, Globals& globals) {
  const auto options = std::make_shared<ControlOptions>();
  CLI::App* command =
      routing.add_subcommand("control", "Expert collapse without load control, even loads with a router bias");
  command->add_option("model", options->model, "A name of `moesim list models` (default deepseek-v2-lite)");
  command->add_option("--sigma", options->sigma, "Standard deviation of a token's logits (default 1)")
      ->check(number(0, 20));
  command->add_option("--spread", options->spread, "Standard deviation of the experts' mean logits (default 0.5)")
      ->check(number(0, 20));
  command->add_option("--steps", options->spec.steps, "Steps (default 400)")->check(whole_number(1, 1000000));
  command->add_option("--tokens", options->spec.tokens, "Tokens of a step (default 512)")
      ->check(whole_number(1, 10000000));
  command->add_option("--rate", options->spec.rate, "gamma: bias += gamma sign(mean - load) (default 0.001)")
      ->check(number(0, 1));
  command
      ->add_option("--growth", options->spec.growth,
                   "Logit that an expert of twice the mean load gains per step, as if it learned (default 0.0005)")
      ->check(number(0, 1));
  command->add_option("--seed", options->seed, "Of all random numbers (default 1)")->check(whole_number(0, kMostSeed));
  add_common_options(*command, globals, "  moesim routing control", "  moesim routing control mixtral-8x7b --growth 0");
  command->callback([options, &globals] { control_routing(*options, globals); });
}

}  // namespace

void add_routing_command(CLI::App& app, Globals& globals) {
  CLI::App* command = app.add_subcommand("routing", "Fit routing to measurements; show what load control does");
  add_common_options(*command, globals, "  moesim routing fit loads.csv --json",
                     "  moesim routing control mixtral-8x7b");
  command->require_subcommand(1);
  add_fit(*command, globals);
  add_control(*command, globals);
}

}  // namespace moesim
