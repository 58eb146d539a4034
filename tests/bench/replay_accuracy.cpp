// How far profiles predict this machine: calibrates a small expert layer on the processors, then runs histograms that
// the profile never saw and prints the errors. No test: a loaded machine would fail it. Aim: 15 % in the median.
//
//   build/release/tests/bench/replay_accuracy [SECONDS] [HIDDEN INTERMEDIATE EXPERTS]

#include <cmath>
#include <cstdlib>

#include <fmt/format.h>

#include "models/kernels/calibration.hpp"
#include "models/kernels/cpu/cpu_backend.hpp"
#include "models/kernels/profile_interpolation.hpp"

using namespace moesim;

namespace {

constexpr std::uint64_t kUnseen = 1000;  // seeds that calibration does not draw from

struct Law {
  HistogramKind kind;
  double exponent;
};

double median_of(ExpertBackend& backend, const std::vector<std::int32_t>& rows) {
  constexpr int kCalls = 5;
  backend.run(rows, 1, Caches::cold);
  std::vector<double> times;
  for (const Seconds time : backend.run(rows, kCalls, Caches::cold).times) times.push_back(time.value());
  return quantile(times, 0.5);
}

void print(const char* name, const std::vector<double>& errors) {
  fmt::print("{:<10}{:>8}{:>9.1f} %{:>9.1f} %{:>9.1f} %\n", name, errors.size(), 100 * quantile(errors, 0.5),
             100 * quantile(errors, 0.9), 100 * quantile(errors, 1));
}

/// Unseen histograms of one format.
void judge(ExpertBackend& backend, const ProfileInterpolation& model, const KernelShape& shape) {
  backend.prepare(shape);
  std::vector<double> errors, mean_only;
  for (const Law law : {Law{HistogramKind::multinomial, 0}, Law{HistogramKind::zipf, 0.4},
                        Law{HistogramKind::zipf, 0.8}, Law{HistogramKind::zipf, 1.2}})
    for (const int mean : {2, 5, 12, 40, 100})
      for (std::uint64_t seed = kUnseen; seed < kUnseen + 2; ++seed) {
        const auto rows =
            draw_histogram(law.kind, law.exponent, shape.experts, std::int64_t{shape.experts} * mean, seed);
        const double measured = median_of(backend, rows.rows);
        errors.push_back(std::abs(model.time(shape, rows.rows)->value() / measured - 1));
        mean_only.push_back(std::abs(model.time_of_mean(shape, rows.rows)->value() / measured - 1));
      }
  print(std::string{name_of(shape.format)}.c_str(), errors);
  print("  mean", mean_only);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const auto number = [&](int at, int otherwise) { return argc > at ? std::atoi(argv[at]) : otherwise; };
    CalibrationRequest request;
    request.budget = Seconds{static_cast<double>(number(1, 40))};
    request.layers = {{number(2, 1024), number(3, 768), number(4, 8)}};
    const auto backend = make_cpu_backend();
    Profile profile;
    calibrate(*backend, request, {[] { return false; }, [](const Profile&, const CalibrationProgress&) {}}, profile);
    const ProfileInterpolation model{profile};
    fmt::print(
        "{} points on {}, drift {:.0f} %\n\nerror of predicted over measured on histograms the profile never saw; "
        "mean: from the mean rows alone\n{:<10}{:>8}{:>11}{:>11}{:>11}\n",
        profile.points.size(), profile.device.name, profile.drift ? 100 * profile.drift->worst : 0.0, "format", "runs",
        "median", "p90", "worst");
    for (const KernelFormat format : backend->formats())
      judge(*backend, model,
            {request.layers[0].hidden, request.layers[0].intermediate, request.layers[0].experts, format});
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "replay_accuracy: {}\n", error.what());
    return 1;
  }
}
