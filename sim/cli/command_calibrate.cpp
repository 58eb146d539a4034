// Measures expert kernels on the device of this machine and writes their profile.

#include <memory>

#include <CLI/CLI.hpp>

#include "models/llm/architecture.hpp"
#include "models/units/error.hpp"
#include "sim/cli/atomic_file.hpp"
#include "sim/cli/backend.hpp"
#include "sim/cli/calibration_session.hpp"
#include "sim/cli/command.hpp"
#include "sim/cli/signals.hpp"
#include "sim/cli/usage.hpp"

namespace moesim {
namespace {

constexpr double kLeastBudget = 0.001, kMostBudget = 604800;  // s: a week

std::vector<std::string> usual_models() {
  std::vector<std::string> names;
  for (const NamedLayer& usual : usual_layers()) names.emplace_back(usual.model);
  return names;
}

struct CalibrateOptions {
  std::string backend = "auto", worker, out;
  std::vector<std::string> models = usual_models();
  double seconds = 480;
  std::uint64_t seed = 1;
  bool quick = false, force = false;
};

ExpertLayer expert_layer(const std::string& name) {
  const Architecture model = load_architecture(name);
  if (!model.moe) throw InputError{"--models", name + ", which has no experts", "models with experts"};
  if (!model.gated) throw NotModelledYet{"--models", name + " (experts of two matrices)", "a model with gated experts"};
  return {model.hidden, model.moe->expert_hidden, model.moe->experts, model.checkpoint_experts == NumberFormat::mxfp4};
}

CalibrationRequest request_of(const CalibrateOptions& options) {
  CalibrationRequest request;
  for (const std::string& name : options.models) request.layers.push_back(expert_layer(name));
  request.budget = Seconds{options.seconds};
  request.quick = options.quick;
  request.seed = options.seed;
  return request;
}

void run(const CalibrateOptions& options, Globals& globals) {
  check_outputs({{"--out", options.out}}, options.force);
  CalibrationSession session{request_of(options), options.out, MOESIM_VERSION, globals.json, globals.quiet};
  try {
    SignalWatch signals;  // before the backend starts threads or a worker
    const auto backend = make_backend(options.backend, options.worker);
    check_writable({"--out", options.out});
    run_calibration(session, *backend, signals);
  } catch (const BackendMissing& missing) {
    miss_requirement("calibrate", missing.what(), globals);
  }
}

}  // namespace

void add_calibrate_command(CLI::App& app, Globals& globals) {
  const auto options = std::make_shared<CalibrateOptions>();
  CLI::App* command = app.add_subcommand("calibrate", "Measure expert kernels on this machine and write a profile");
  command->add_option("--backend", options->backend, "What runs the kernels (auto: a GPU where there is one)")
      ->check(one_of({"auto", "cuda", "cpu"}))
      ->capture_default_str();
  command->add_option("--cuda-worker", options->worker, kWorkerHelp);
  command->add_option("--models", options->models, "Models whose experts to measure: zoo names or config.json files")
      ->delimiter(',')
      ->capture_default_str();
  command->add_option("--budget-seconds", options->seconds, "Wall-clock time; the most useful points come first")
      ->check(number(kLeastBudget, kMostBudget))
      ->capture_default_str();
  command->add_option("--seed", options->seed, "Of histograms and order")->check(whole_number(0, INT64_MAX));
  command->add_flag("--quick", options->quick, "Only the points that matter most, fewer repetitions");
  command->add_option("--out", options->out, "The profile to write")->required();
  command->add_flag("--force", options->force, "Replace a profile that is there");
  add_common_options(*command, globals, "  moesim calibrate --backend cuda --out out/this-gpu.json",
                     "  moesim calibrate --backend cpu --models olmoe-1b-7b --budget-seconds 20 --out out/cpu.json");
  command->callback([options, &globals] { run(*options, globals); });
}

}  // namespace moesim
