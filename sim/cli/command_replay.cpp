// Executes the expert histograms of a simulated run on a real device.

#include <cstdio>
#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "models/units/error.hpp"
#include "models/units/text.hpp"
#include "sim/cli/backend.hpp"
#include "sim/cli/command.hpp"
#include "sim/cli/overrides.hpp"
#include "sim/cli/replay_run.hpp"
#include "sim/cli/usage.hpp"

namespace moesim {
namespace {

constexpr double kLeastBudget = 0.001, kMostBudget = 86400;  // s: a day

struct ReplayOptions {
  std::string scenario, profile, backend = "auto", worker;
  std::vector<std::string> set;
  double seconds = 60;
};

struct Replay {
  KernelShape shape;
  std::vector<std::string> notes;
  std::vector<ReplayedHistogram> replayed;
  std::vector<ReplayErrors> errors;
};

/// Experts in the scenario's format where the backend runs it, else in the backend's first one, which is said.
KernelFormat format_of(const Scenario& scenario, const ExpertBackend& backend, std::vector<std::string>& notes) {
  const std::string wanted{name_of(scenario.precision.experts)};
  for (const KernelFormat format : backend.formats())
    if (name_of(format) == wanted) return format;
  const KernelFormat format = backend.formats().front();
  notes.push_back(
      fmt::format("the scenario's experts are {}, which does not run here: replayed in {}", wanted, name_of(format)));
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
  return {scenario.model.hidden, scenario.model.moe->expert_hidden / scenario.layout.expert_tp,
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

Replay replay_run(const ReplayOptions& options, const Globals& globals) {
  const Profile profile = load_profile(options.profile);
  const Scenario scenario = load_scenario(options.scenario, parse_overrides(options.set));
  if (!scenario.model.moe) throw InputError{options.scenario, "a model without experts", "a model with experts"};
  const auto backend = make_backend(options.backend, options.worker);
  Replay result;
  const KernelFormat format = format_of(scenario, *backend, result.notes);
  note_other_device(profile, *backend, result.notes);
  note_drift(profile, result.notes);
  ReplaySample sample{scenario.seed};
  simulate(scenario, 0, sample.listener());
  const std::vector<RankHistogram> histograms = sample.by_priority();
  if (histograms.empty()) throw RunError{"the simulated run gave no expert a row"};
  const ProfileInterpolation model{profile};
  result.shape = shape_of(scenario, format, histograms.front());
  require_known(model, result.shape, options, histograms.front());
  const bool show = !globals.quiet && ::isatty(STDERR_FILENO) != 0;
  result.replayed = replay(*backend, result.shape, model, histograms, Seconds{options.seconds}, [&](std::size_t done) {
    if (show) fmt::print(stderr, "\r\x1b[K{} of at most {} histograms", done, histograms.size());
  });
  if (show) fmt::print(stderr, "\r\x1b[K");
  result.errors = replay_errors(result.replayed, sample);
  return result;
}

nlohmann::ordered_json as_json(const Replay& replay, const ReplayOptions& options) {
  nlohmann::ordered_json classes = nlohmann::ordered_json::array(), histograms = classes;
  for (const ReplayErrors& of : replay.errors)
    classes.push_back({{"histograms", of.name},
                       {"seen", of.seen},
                       {"replayed", of.replayed},
                       {"predicted_s", of.predicted.value()},
                       {"measured_s", of.measured.value()},
                       {"median_error", of.median},
                       {"p90_error", of.p90},
                       {"worst_error", of.worst},
                       {"bias", of.bias}});
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
          {"experts",
           {{"hidden", replay.shape.hidden},
            {"intermediate", replay.shape.intermediate},
            {"slots", replay.shape.experts},
            {"format", name_of(replay.shape.format)}}},
          {"classes", classes},
          {"histograms", histograms},
          {"notes", replay.notes}};
}

void print_for_people(const Replay& replay) {
  const KernelShape& shape = replay.shape;
  fmt::print("{} of {} expert histograms replayed: {} slots of {} x {} in {}\n\n", replay.replayed.size(),
             with_commas(replay.errors.front().seen), shape.experts, shape.hidden, shape.intermediate,
             name_of(shape.format));
  fmt::print("  {:<24}{:>10}{:>10}{:>12}{:>12}{:>9}{:>9}{:>9}\n", "histograms", "in run", "replayed", "predicted",
             "measured", "median", "p90", "bias");
  for (const ReplayErrors& of : replay.errors)
    fmt::print("  {:<24}{:>10}{:>10}{:>12}{:>12}{:>7.1f} %{:>7.1f} %{:>+7.1f} %\n", of.name, with_commas(of.seen),
               of.replayed, human(of.predicted), human(of.measured), 100 * of.median, 100 * of.p90, 100 * of.bias);
  for (const std::string& note : replay.notes) fmt::print("  note   {}\n", note);
}

void run(const ReplayOptions& options, Globals& globals) {
  try {
    const Replay replay = replay_run(options, globals);
    if (globals.json)
      fmt::print("{}\n", as_json(replay, options).dump(2));
    else
      print_for_people(replay);
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
  command->add_option("--profile", options->profile, "Profile of moesim calibrate that predicts")->required();
  command->add_option("--backend", options->backend, "What runs the kernels (auto: the fastest that is here)")
      ->check(one_of({"auto", "cuda", "cpu"}))
      ->capture_default_str();
  command->add_option("--cuda-worker", options->worker, kWorkerHelp);
  command->add_option("--budget-seconds", options->seconds, "Wall-clock time of the kernels; common classes come first")
      ->check(number(kLeastBudget, kMostBudget))
      ->capture_default_str();
  command->add_option("--set", options->set, "Override one value: --set workload.steps=2 (repeatable)")
      ->allow_extra_args(false);
  add_common_options(*command, globals, "  moesim replay scenarios/quickstart.yaml --profile out/cpu.json",
                     "  moesim replay scenarios/quickstart.yaml --profile out/cpu.json --budget-seconds 20 --json");
  command->callback([options, &globals] { run(*options, globals); });
}

}  // namespace moesim
