// Executes the expert histograms of a simulated run on a real device, or prices them with a profile.

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "models/kernels/published/kernel_model.hpp"
#include "models/llm/expert_slices.hpp"
#include "models/units/error.hpp"
#include "models/units/resources.hpp"
#include "models/units/text.hpp"
#include "sim/cli/backend.hpp"
#include "sim/cli/command.hpp"
#include "sim/cli/overrides.hpp"
#include "sim/cli/replay_run.hpp"
#include "sim/cli/usage.hpp"
#include "sim/serving/deployment_plan.hpp"
#include "sim/serving/rank_times.hpp"

namespace moesim {
namespace {

constexpr const char* kProfileBackend = "profile";
constexpr double kLeastBudget = 0.001, kMostBudget = 86400;  // s: a day

struct ReplayOptions {
  std::string scenario, profile, backend = "auto", worker;
  std::vector<std::string> set;
  double seconds = 60;
};

struct Replay {
  KernelShape shape;
  std::string predicted_by;
  std::vector<std::string> notes;
  std::vector<ReplayedHistogram> replayed;
  std::vector<ReplayErrors> errors;
  std::vector<ReplayErrors> at_points;  ///< with the profile as the backend
};

/// "int4_group128" is stored as int4, "fp8_block" as fp8; nothing for what no kernel here is made for.
std::optional<KernelFormat> stored_as(NumberFormat format) {
  const std::vector<std::string> names = kernel_format_names();
  for (std::size_t i = 0; i < names.size(); ++i)
    if (name_of(format).starts_with(names[i])) return static_cast<KernelFormat>(i);
  return std::nullopt;
}

/// Experts in the scenario's format where the backend runs it, else in the backend's first one, which is said.
KernelFormat format_of(const Scenario& scenario, const ExpertBackend& backend, std::vector<std::string>& notes) {
  const std::optional<KernelFormat> wanted = stored_as(scenario.precision.experts);
  for (const KernelFormat format : backend.formats())
    if (format == wanted) return format;
  const KernelFormat format = backend.formats().front();
  notes.push_back(fmt::format("the scenario's experts are {}, which does not run here: replayed in {}",
                              name_of(scenario.precision.experts), name_of(format)));
  return format;
}

void note_other_device(const Profile& profile, const ExpertBackend& backend, std::vector<std::string>& notes) {
  const ProfileDevice here = backend.device();
  if (profile.device.name == here.name && profile.device.processors == here.processors) return;
  notes.push_back(fmt::format("the profile is of {} with {} processors, this is {} with {}", profile.device.name,
                              profile.device.processors, here.name, here.processors));
}

/// A profile that was taken while others used the machine predicts a machine that others use.
void note_drift(const Profile& profile, std::vector<std::string>& notes) {
  if (profile.drift && profile.drift->worst > kDriftLimit)
    notes.push_back(
        fmt::format("the device drifted by {:.0f} % while the profile was measured", 100 * profile.drift->worst));
}

KernelShape shape_of(const Scenario& scenario, KernelFormat format, const RankHistogram& histogram) {
  return {scenario.model.hidden,
          expert_slice_width(scenario.model, scenario.precision.experts, scenario.layout.expert_tp),
          static_cast<int>(histogram.rows.size()), format};
}

void require_known(const ProfileInterpolation& model, const KernelShape& shape, const ReplayOptions& options,
                   const RankHistogram& histogram) {
  if (model.time(shape, histogram.rows)) return;
  throw InputError{options.profile,
                   fmt::format("no uniform histogram of experts {} x {} in {}", shape.hidden, shape.intermediate,
                               name_of(shape.format)),
                   fmt::format("a profile that has them: calibrate with the model of {}", options.scenario)};
}

bool holds_curves(const std::string& name_or_file) {
  const std::vector<std::string> shipped = shipped_kernel_models();
  if (!std::filesystem::exists(name_or_file))
    return std::find(shipped.begin(), shipped.end(), name_or_file) != shipped.end();
  const std::string text = read_text_file(name_or_file);
  return text.find("\"moesim kernel model\"") != std::string::npos ||
         text.find("\"moesim kernel transfer\"") != std::string::npos;
}

/// Shipped and imported profiles hold curves of balanced times, and no histograms to predict others from.
Profile load_histograms(const ReplayOptions& options) {
  if (holds_curves(options.profile))
    throw InputError{"--profile", options.profile + ", curves of balanced times",
                     fmt::format("a file of `moesim calibrate`, with the histograms that it measured; for the times of "
                                 "these curves: moesim run {} --set kernels.profile={}",
                                 options.scenario, options.profile)};
  return load_profile(options.profile);
}

/// What both ways of replaying begin with.
struct Sampled {
  Profile profile;
  Scenario scenario;
  ReplaySample sample{scenario.seed};
  std::vector<RankHistogram> histograms;

  explicit Sampled(const ReplayOptions& options)
      : profile{load_histograms(options)}, scenario{load_scenario(options.scenario, parse_overrides(options.set))} {
    if (!scenario.model.moe) throw InputError{options.scenario, "a model without experts", "a model with experts"};
  }
  void simulate_run() {
    simulate(scenario, 0, sample.listener());
    histograms = sample.by_priority();
    if (histograms.empty()) throw RunError{"the simulated run gave no expert a row"};
  }
};

Replay replay_on_device(const ReplayOptions& options, const Globals& globals) {
  Sampled run{options};
  const auto backend = make_backend(options.backend, options.worker);
  Replay result;
  result.predicted_by = "profile";
  const KernelFormat format = format_of(run.scenario, *backend, result.notes);
  note_other_device(run.profile, *backend, result.notes);
  note_drift(run.profile, result.notes);
  run.simulate_run();
  const ProfileInterpolation model{run.profile};
  result.shape = shape_of(run.scenario, format, run.histograms.front());
  require_known(model, result.shape, options, run.histograms.front());
  const bool show = !globals.quiet && ::isatty(STDERR_FILENO) != 0;
  result.replayed =
      replay(*backend, result.shape, model, run.histograms, Seconds{options.seconds}, [&](std::size_t done) {
        if (show) fmt::print(stderr, "\r\x1b[K{} of at most {} histograms", done, run.histograms.size());
      });
  if (show) fmt::print(stderr, "\r\x1b[K");
  if (result.replayed.empty()) throw RunError{"the device has no memory or no kernel for any of the histograms"};
  result.errors = replay_errors(result.replayed, run.sample);
  return result;
}

/// The simulator's kernel times against a profile's: how far this run is from the device of the profile.
Replay replay_on_profile(const ReplayOptions& options) {
  Sampled run{options};
  const std::optional<KernelFormat> format = stored_as(run.scenario.precision.experts);
  if (!format)
    throw InputError{"precision.experts", std::string{name_of(run.scenario.precision.experts)},
                     "a format that profiles hold: " + fmt::format("{}", fmt::join(kernel_format_names(), ", "))};
  run.simulate_run();
  const ProfileInterpolation model{run.profile};
  Replay result;
  result.shape = shape_of(run.scenario, *format, run.histograms.front());
  require_known(model, result.shape, options, run.histograms.front());
  const Deployment plan = plan_deployment(run.scenario);
  const auto simulator = plan.kernels->experts(expert_shape(run.scenario, plan, run.scenario.precision.experts));
  result.predicted_by = fmt::format("simulator ({})", name_of(plan.kernels->source()));
  result.notes.push_back("nothing was executed: measured is what the profile says of these histograms");
  if (run.profile.device.name.find(run.scenario.cluster.gpu.name) == std::string::npos)
    result.notes.push_back(fmt::format("the profile is of {}, the scenario's GPU is {}", run.profile.device.name,
                                       run.scenario.cluster.gpu.name));
  if (!run.profile.hold_out.empty())
    result.notes.push_back(fmt::format("the profile itself is {:.1f} % (median) off on its held-out points",
                                       100 * run.profile.hold_out.front().median));
  note_drift(run.profile, result.notes);
  result.replayed = compare_with_profile(*simulator, result.shape, model, run.histograms);
  result.errors = replay_errors(result.replayed, run.sample);
  result.at_points = errors_at_points(*simulator, result.shape, run.profile);
  return result;
}

nlohmann::ordered_json as_json(const std::vector<ReplayErrors>& errors) {
  nlohmann::ordered_json classes = nlohmann::ordered_json::array();
  for (const ReplayErrors& of : errors)
    classes.push_back({{"histograms", of.name},
                       {"seen", of.seen},
                       {"replayed", of.replayed},
                       {"predicted_s", of.predicted.value()},
                       {"measured_s", of.measured.value()},
                       {"median_error", of.median},
                       {"p90_error", of.p90},
                       {"worst_error", of.worst},
                       {"bias", of.bias}});
  return classes;
}

nlohmann::ordered_json as_json(const Replay& replay, const ReplayOptions& options) {
  nlohmann::ordered_json histograms = nlohmann::ordered_json::array();
  for (const ReplayedHistogram& one : replay.replayed)
    histograms.push_back({{"step", one.histogram.step},
                          {"layer", one.histogram.layer},
                          {"rank", one.histogram.rank},
                          {"class", one.name},
                          {"rows", one.histogram.rows},
                          {"calls", one.calls},
                          {"predicted_s", one.predicted.value()},
                          {"measured_s", one.measured.value()}});
  return {{"scenario", options.scenario},
          {"profile", options.profile},
          {"predicted_by", replay.predicted_by},
          {"executed", options.backend != kProfileBackend},
          {"experts",
           {{"hidden", replay.shape.hidden},
            {"intermediate", replay.shape.intermediate},
            {"slots", replay.shape.experts},
            {"format", name_of(replay.shape.format)}}},
          {"classes", as_json(replay.errors)},
          {"histograms", histograms},
          {"at_points", as_json(replay.at_points)},
          {"notes", replay.notes}};
}

void print_errors(const char* title, const char* seen, const std::vector<ReplayErrors>& errors) {
  fmt::print("\n  {:<24}{:>10}{:>10}{:>12}{:>12}{:>9}{:>9}{:>9}\n", title, seen, "compared", "predicted", "measured",
             "median", "p90", "bias");
  for (const ReplayErrors& of : errors)
    fmt::print("  {:<24}{:>10}{:>10}{:>12}{:>12}{:>7.1f} %{:>7.1f} %{:>+7.1f} %\n", of.name, with_commas(of.seen),
               of.replayed, human(of.predicted), human(of.measured), 100 * of.median, 100 * of.p90, 100 * of.bias);
}

void print_for_people(const Replay& replay, const ReplayOptions& options) {
  const KernelShape& shape = replay.shape;
  fmt::print("{} of {} expert histograms {}: {} slots of {} x {} in {}, predicted by the {}\n", replay.replayed.size(),
             with_commas(replay.errors.front().seen),
             options.backend == kProfileBackend ? "compared with a profile" : "replayed", shape.experts, shape.hidden,
             shape.intermediate, name_of(shape.format), replay.predicted_by);
  print_errors("histograms", "in run", replay.errors);
  if (!replay.at_points.empty()) print_errors("measured points", "in profile", replay.at_points);
  for (const std::string& note : replay.notes) fmt::print("  note   {}\n", note);
}

void run(const ReplayOptions& options, Globals& globals) {
  try {
    const Replay replay =
        options.backend == kProfileBackend ? replay_on_profile(options) : replay_on_device(options, globals);
    if (globals.json)
      fmt::print("{}\n", as_json(replay, options).dump(2));
    else
      print_for_people(replay, options);
  } catch (const BackendMissing& missing) {
    miss_requirement("replay", missing.what(), globals);
  }
}

}  // namespace

void add_replay_command(CLI::App& app, Globals& globals) {
  const auto options = std::make_shared<ReplayOptions>();
  CLI::App* command = app.add_subcommand(
      "replay", "Execute the expert histograms of a simulated run here, against what a profile predicts");
  command->add_option("scenario", options->scenario, "Scenario file (YAML or JSON)")->required();
  command
      ->add_option("--profile", options->profile,
                   "File of moesim calibrate that predicts (not a shipped or imported profile)")
      ->required();
  command
      ->add_option("--backend", options->backend,
                   "What runs the kernels (auto: a GPU where there is one). profile: nothing is executed; the "
                   "simulator's own kernel times against those of the profile")
      ->check(one_of({"auto", "cuda", "cpu", kProfileBackend}))
      ->capture_default_str();
  command->add_option("--cuda-worker", options->worker, kWorkerHelp);
  command->add_option("--budget-seconds", options->seconds, "Wall-clock time of the kernels; common classes come first")
      ->check(number(kLeastBudget, kMostBudget))
      ->capture_default_str();
  command->add_option("--set", options->set, "Override one value: --set workload.steps=2 (repeatable)")
      ->allow_extra_args(false);
  add_common_options(*command, globals, "  moesim replay scenarios/quickstart.yaml --profile out/cpu.json",
                     "  moesim replay scenarios/quickstart.yaml --profile out/gpu.json --backend profile --json");
  command->callback([options, &globals] { run(*options, globals); });
}

}  // namespace moesim
