#include "sim/cli/calibration_session.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "models/units/error.hpp"
#include "models/units/text.hpp"
#include "sim/cli/atomic_file.hpp"
#include "sim/cli/signals.hpp"
#include "sim/cli/utc_time.hpp"

namespace moesim {
namespace fs = std::filesystem;
namespace {

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

std::size_t measured(const Profile& profile) {
  return profile.points.size() + profile.operations.size();
}

nlohmann::ordered_json as_json(const CalibrationSession& session, const Profile& profile, Seconds elapsed) {
  // the profile's own words, so that both documents say the same
  const auto document = nlohmann::ordered_json::parse(profile_text(profile));
  return {{"profile", session.out.string()}, {"device", document["device"]},    {"complete", profile.complete},
          {"points", measured(profile)},     {"planned", profile.planned},      {"seconds", elapsed.value()},
          {"drift", document["drift"]},      {"hold_out", document["hold_out"]}};
}

void print_for_people(const CalibrationSession& session, const Profile& profile, Seconds elapsed) {
  const ProfileDevice& device = profile.device;
  fmt::print("{} · {} · {} processors · {} {}\n", device.name, name_of(device.kind), device.processors,
             profile.provenance.libraries.front().name, profile.provenance.libraries.front().version);
  fmt::print("  ceilings   copy {}", human(device.copy));
  for (const FormatRate& rate : device.gemm)
    fmt::print("   {} {} {:.1f} {}FLOP/s", rate.kernel, name_of(rate.format),
               rate.rate.value() / (rate.rate.value() < 1e12 ? 1e9 : 1e12), rate.rate.value() < 1e12 ? 'G' : 'T');
  fmt::print("\n  points     {} of {} in {:.1f} s{}\n", measured(profile), profile.planned, elapsed.value(),
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
  fmt::print("  profile    {}\n", session.out.string());
}

/// Fresh inputs every time; the note tells how many kernels were verified and with which seed.
std::string verify(ExpertBackend& backend) {
  const auto seed = static_cast<std::uint64_t>(std::time(nullptr));
  const std::vector<VerifiedKernel> kernels = backend.verify(seed);
  if (kernels.empty()) return {};
  double worst = 0;
  for (const VerifiedKernel& kernel : kernels) {
    if (!kernel.right())
      throw RunError{
          fmt::format("{} is wrong on this device (relative error {:.2g}, expected {:g} at most, seed {}); "
                      "nothing was timed",
                      kernel.kernel, kernel.relative_error, kernel.tolerance, seed)};
    worst = std::max(worst, kernel.relative_error);
  }
  return fmt::format("{} kernels verified against double precision: relative error {:.1e} at worst, seed {}",
                     kernels.size(), worst, seed);
}

[[noreturn]] void end_interrupted(const CalibrationSession& session, const Profile& profile, SignalWatch& signals) {
  if (profile.points.empty())
    fmt::print(stderr, "moesim: interrupted: nothing was measured\n");
  else
    fmt::print(stderr, "moesim: interrupted: {} of {} points are in {}\n", measured(profile), profile.planned,
               session.out.string());
  signals.restore();
  end_by_signal(signals.caught());
}

/// Calibrates; what was measured is in the file whatever happens.
void measure(const CalibrationSession& session, const CalibrationRequest& request, ExpertBackend& backend,
             SignalWatch& signals, Keeper& keeper, Profile& profile) {
  const auto keep = [&](const std::string& failure) -> std::string {
    keeper.end(profile);
    if (profile.points.empty()) return failure;
    return fmt::format("{}; the {} points measured before are in {}", failure, measured(profile), session.out.string());
  };
  try {
    calibrate(backend, request, {[&] { return signals.caught() != 0; }, std::ref(keeper)}, profile);
  } catch (const std::bad_alloc&) {
    throw RunError{keep("out of memory")};
  } catch (const RunError& error) {
    const std::string what = keep(error.what());
    if (signals.caught() == 0) throw RunError{what};
  }
  keeper.end(profile);
}

}  // namespace

void run_calibration(const CalibrationSession& session, ExpertBackend& backend, SignalWatch& signals) {
  const auto start = std::chrono::steady_clock::now();
  CalibrationRequest request = session.request;
  Profile profile;
  std::string verified;
  try {
    verified = verify(backend);
  } catch (const RunError&) {
    if (signals.caught() == 0) throw;
    end_interrupted(session, profile, signals);
  }
  if (!verified.empty()) {
    request.budget -= Seconds{std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count()};
    profile.provenance.notes.push_back(verified);
  }
  profile.provenance.measured_at = now_in_utc();
  profile.provenance.program_version = session.program_version;
  Keeper keeper{session.out, !session.quiet && ::isatty(STDERR_FILENO) != 0};
  measure(session, request, backend, signals, keeper, profile);
  if (signals.caught() != 0) end_interrupted(session, profile, signals);
  if (session.json)
    fmt::print("{}\n", as_json(session, profile, keeper.elapsed).dump(2));
  else
    print_for_people(session, profile, keeper.elapsed);
}

}  // namespace moesim
