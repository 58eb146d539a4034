// Measures expert kernels on the device of this machine and writes their profile.

#include <csignal>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <memory>
#include <new>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "models/kernels/calibration.hpp"
#include "models/llm/architecture.hpp"
#include "models/units/error.hpp"
#include "models/units/text.hpp"
#include "sim/cli/atomic_file.hpp"
#include "sim/cli/backend.hpp"
#include "sim/cli/command.hpp"
#include "sim/cli/compare_workers.hpp"
#include "sim/cli/results.hpp"
#include "sim/cli/usage.hpp"

namespace moesim {
namespace fs = std::filesystem;
namespace {

constexpr double kLeastBudget = 0.001, kMostBudget = 604800;  // s: a week

/// Holds the signals that end a process back, and looks for them between kernels. None may be delivered inside one:
/// code that oneDNN generates keeps values where the frame of a signal handler goes (seen with 2.6.3 on AVX2: a corrupt
/// heap). Threads that start later hold them back too. What the caller ignores (as nohup does) stays ignored.
class SignalWatch {
public:
  SignalWatch() {
    sigemptyset(&ending_);
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
      struct sigaction action {};
      ::sigaction(number, nullptr, &action);
      if (action.sa_handler != SIG_IGN) sigaddset(&ending_, number);
    }
    ::sigprocmask(SIG_BLOCK, &ending_, nullptr);
  }

  bool stop() {
    const timespec at_once{};
    if (caught_ == 0) caught_ = std::max(0, ::sigtimedwait(&ending_, nullptr, &at_once));
    return caught_ != 0;
  }
  int caught() const { return caught_; }
  void let_in() const { ::sigprocmask(SIG_UNBLOCK, &ending_, nullptr); }

private:
  sigset_t ending_{};
  int caught_ = 0;
};

struct CalibrateOptions {
  std::string backend = "auto", out;
  std::vector<std::string> models{"mixtral-8x7b", "qwen3-235b-a22b", "deepseek-v3", "gpt-oss-120b"};
  double seconds = 480;
  std::uint64_t seed = 1;
  bool quick = false, force = false;
};

ExpertLayer expert_layer(const std::string& name) {
  const Architecture model = load_architecture(name);
  if (!model.moe) throw InputError{"--models", name + ", which has no experts", "models with experts"};
  if (!model.gated) throw NotModelledYet{"--models", name + " (experts of two matrices)", "a model with gated experts"};
  return {model.hidden, model.moe->expert_hidden, model.moe->experts};
}

CalibrationRequest request_of(const CalibrateOptions& options) {
  CalibrationRequest request;
  for (const std::string& name : options.models) request.layers.push_back(expert_layer(name));
  request.budget = Seconds{options.seconds};
  request.quick = options.quick;
  request.seed = options.seed;
  return request;
}

/// Before hours of work are spent for it: the folder is made, and takes a file.
void check_writable(const fs::path& file) {
  const fs::path folder = file.has_parent_path() ? file.parent_path() : fs::path{"."};
  std::error_code failure;
  fs::create_directories(folder, failure);
  const fs::path probe = folder / fmt::format(".{}.{}.tmp", file.filename().string(), ::getpid());
  if (!failure) {
    try {
      write_file_atomically(probe, "");
      fs::remove(probe, failure);
      return;
    } catch (const RunError& error) {
      throw InputError{"--out", error.what(), "a file that can be written"};
    }
  }
  throw InputError{"--out", fmt::format("'{}': {}", file.string(), failure.message()), "a file that can be written"};
}

/// Writes the profile now and then, so that not even a power cut loses all, and shows how far it is.
class Keeper {
public:
  Keeper(fs::path file, bool show) : file_{std::move(file)}, show_{show} {}

  void operator()(const Profile& profile, const CalibrationProgress& progress) {
    constexpr Seconds kBetween{5};
    if (written_ == Seconds{} || progress.elapsed - written_ > kBetween) {
      write_file_atomically(file_, profile_text(profile));
      written_ = progress.elapsed;
    }
    elapsed = progress.elapsed;
    if (!show_) return;
    fmt::print(stderr, "\r\x1b[K{} of {} points, {:.0f} s, about {:.0f} s to go", progress.done, progress.planned,
               progress.elapsed.value(), (progress.expected - progress.elapsed).value());
    std::fflush(stderr);
  }

  void end(const Profile& profile) const {
    if (show_) fmt::print(stderr, "\r\x1b[K");
    if (!profile.points.empty()) write_file_atomically(file_, profile_text(profile));
  }

  Seconds elapsed;

private:
  fs::path file_;
  bool show_;
  Seconds written_;
};

nlohmann::ordered_json as_json(const CalibrateOptions& options, const Profile& profile, Seconds elapsed) {
  // the profile's own words, so that both documents say the same
  const auto document = nlohmann::ordered_json::parse(profile_text(profile));
  return {{"profile", options.out},          {"device", document["device"]},    {"complete", profile.complete},
          {"points", profile.points.size() + profile.operations.size()}, {"planned", profile.planned},      {"seconds", elapsed.value()},
          {"drift", document["drift"]},      {"hold_out", document["hold_out"]}};
}

void print_for_people(const CalibrateOptions& options, const Profile& profile, Seconds elapsed) {
  const ProfileDevice& device = profile.device;
  fmt::print("{} · {} · {} processors · {} {}\n", device.name, name_of(device.kind), device.processors,
             profile.provenance.libraries.front().name, profile.provenance.libraries.front().version);
  fmt::print("  ceilings   copy {}", human(device.copy));
  for (const FormatRate& rate : device.gemm)
    fmt::print("   GEMM {} {:.1f} GFLOP/s", name_of(rate.format), rate.rate.value() / 1e9);
  fmt::print("\n  points     {} of {} in {:.1f} s{}\n", profile.points.size(), profile.planned, elapsed.value(),
             profile.complete ? "" : ": cut off, valid as it is");
  for (const HoldOutError& error : profile.hold_out)
    fmt::print(
        "  hold-out   {:<12}{:>4} points   error {:5.1f} % median {:6.1f} % p90   from the mean alone {:5.1f} % "
        "{:6.1f} %\n",
        error.histograms, error.points, 100 * error.median, 100 * error.p90, 100 * error.mean_only_median,
        100 * error.mean_only_p90);
  if (profile.drift)
    fmt::print("  drift      {:.1f} % at worst over {} repeated anchors{}\n", 100 * profile.drift->worst,
               profile.drift->anchors,
               profile.drift->worst > kDriftLimit ? ": the clock changed, or others used this machine" : "");
  for (const std::string& note : profile.provenance.notes) fmt::print("  note       {}\n", note);
  fmt::print("  profile    {}\n", options.out);
}

[[noreturn]] void end_interrupted(const CalibrateOptions& options, const Profile& profile, const SignalWatch& signals) {
  fmt::print(stderr, "moesim: interrupted: {} of {} points are in {}\n", profile.points.size(), profile.planned,
             options.out);
  signals.let_in();
  end_by_signal(signals.caught());
}

void measure(const CalibrateOptions& options, ExpertBackend& backend, SignalWatch& signals, Globals& globals) {
  const CalibrationRequest request = request_of(options);
  Profile profile;
  profile.provenance.measured_at = now_in_utc();
  profile.provenance.program_version = MOESIM_VERSION;
  Keeper keeper{options.out, !globals.quiet && ::isatty(STDERR_FILENO) != 0};
  try {
    calibrate(backend, request, {[&] { return signals.stop(); }, std::ref(keeper)}, profile);
  } catch (const std::bad_alloc&) {
    keeper.end(profile);
    throw RunError{
        fmt::format("out of memory after {} points; what was measured is in {}", profile.points.size(), options.out)};
  }
  keeper.end(profile);
  if (signals.caught() != 0) end_interrupted(options, profile, signals);
  if (globals.json) {
    fmt::print("{}\n", as_json(options, profile, keeper.elapsed).dump(2));
  } else {
    print_for_people(options, profile, keeper.elapsed);
  }
}

void run(const CalibrateOptions& options, Globals& globals) {
  check_outputs({{"--out", options.out}}, options.force);
  request_of(options);  // wrong names before anything is made
  try {
    SignalWatch signals;  // before the backend starts threads
    const auto backend = make_backend(options.backend);
    check_writable(options.out);
    measure(options, *backend, signals, globals);
  } catch (const BackendMissing& missing) {
    miss_requirement("calibrate", missing.what(), globals);
  }
}

}  // namespace

void add_calibrate_command(CLI::App& app, Globals& globals) {
  const auto options = std::make_shared<CalibrateOptions>();
  CLI::App* command = app.add_subcommand("calibrate", "Measure expert kernels on this machine and write a profile");
  command->add_option("--backend", options->backend, "What runs the kernels (auto: the fastest that is here)")
      ->check(one_of({"auto", "cuda", "cpu"}))
      ->capture_default_str();
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
  add_common_options(*command, globals, "  moesim calibrate --out out/this-machine.json",
                     "  moesim calibrate --backend cpu --models olmoe-1b-7b --budget-seconds 20 --out out/cpu.json");
  command->callback([options, &globals] { run(*options, globals); });
}

}  // namespace moesim
