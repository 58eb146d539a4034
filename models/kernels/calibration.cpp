#include "models/kernels/calibration.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>

#include <fmt/format.h>

#include "models/kernels/profile_interpolation.hpp"
#include "models/units/error.hpp"
#include "models/units/text.hpp"

namespace moesim {
namespace {

constexpr int kLeastCalls = 3, kMostCalls = 30, kAnchors = 3;
constexpr double kUnsteady = 0.1;          ///< p90 - p10 over the median
constexpr double kLargestShare = 1.0 / 8;  ///< of the budget that one point may take

bool is_unsteady(const ProfilePoint& point) {
  return point.p90 - point.p10 > kUnsteady * point.median;
}

void set_percentiles(const std::vector<Seconds>& times, ProfilePoint& point) {
  std::vector<double> values;
  for (const Seconds time : times) values.push_back(time.value());
  point.repetitions = static_cast<int>(times.size());
  point.p10 = Seconds{quantile(values, 0.1)};
  point.median = Seconds{quantile(values, 0.5)};
  point.p90 = Seconds{quantile(values, 0.9)};
}

class Calibrator {
public:
  Calibrator(ExpertBackend& backend, const CalibrationRequest& request, const CalibrationWatch& watch, Profile& profile)
      : backend_{backend}, request_{request}, watch_{watch}, profile_{profile} {}

  void run() {
    describe();
    std::vector<PlannedPoint> plan = affordable(calibration_plan(request_, backend_.formats()));
    profile_.planned = static_cast<int>(plan.size());
    for (const PlannedPoint& point : plan) {
      if (watch_.stop()) break;
      if (cost(point) > std::min(left(), kLargestShare * request_.budget)) continue;  // a cheaper one may fit
      measure(point);
      tell();
      if (elapsed() - last_anchors_ > anchor_interval()) repeat_anchors();
    }
    if (profile_.points.empty()) refuse(plan);
    repeat_anchors();
    profile_.complete = profile_.points.size() == plan.size();
    tell();
  }

private:
  Seconds elapsed() const {
    return Seconds{std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count()};
  }
  Seconds left() const { return request_.budget - elapsed(); }
  Seconds anchor_interval() const { return std::max(Seconds{5}, request_.budget / 8); }
  /// What one point may take for its repetitions.
  Seconds slice() const {
    const Seconds most{request_.quick ? 0.15 : 1.0};
    return std::min(most, request_.budget / 40);
  }

  /// For what is good to have: never dearer than twice the point itself.
  bool has_time_for(Seconds more) const { return more <= std::min(2 * slice(), left()) && !watch_.stop(); }

  void describe() {
    profile_.device = backend_.device();
    profile_.provenance.libraries = backend_.libraries();
    profile_.provenance.notes = backend_.notes();
    profile_.provenance.seed = request_.seed;
    profile_.provenance.budget = request_.budget;
    profile_.device.copy = backend_.measure_copy();
    for (const KernelFormat format : backend_.formats())
      profile_.device.gemm.push_back({format, backend_.measure_gemm(format)});
  }

  /// One call, by the measured ceilings: reading weights and multiplying one after the other, which is no less.
  Seconds guess(const PlannedPoint& point) const {
    const auto& rows = point.histogram.rows;
    const auto active =
        static_cast<double>(rows.size() - static_cast<std::size_t>(std::count(rows.begin(), rows.end(), 0)));
    const auto rate = std::find_if(profile_.device.gemm.begin(), profile_.device.gemm.end(),
                                   [&](const FormatRate& of) { return of.format == point.shape.format; });
    return active * expert_weights(point.shape) / profile_.device.copy +
           expert_flops(point.shape, point.histogram.total()) / rate->rate;
  }

  /// A warm-up and the least repetitions, as slow as calls were so far against their guesses.
  Seconds cost(const PlannedPoint& point) const {
    const double slowness = slowness_.empty() ? 1 : quantile(slowness_, 0.5);
    return guess(point) * slowness * (kLeastCalls + 1.0);
  }

  std::vector<PlannedPoint> affordable(std::vector<PlannedPoint> plan) {
    const Bytes room = 0.5 * profile_.device.memory;
    const auto too_large = [&](const PlannedPoint& point) {
      const std::int32_t most = *std::max_element(point.histogram.rows.begin(), point.histogram.rows.end());
      return backend_.memory_needed(point.shape, point.histogram.total(), most) > room;
    };
    if (const auto count = std::erase_if(plan, too_large); count > 0)
      profile_.provenance.notes.push_back(
          fmt::format("{} points left out: they need more than {}", count, human(room)));
    const Seconds most = kLargestShare * request_.budget;
    std::vector<PlannedPoint> kept;
    std::copy_if(plan.begin(), plan.end(), std::back_inserter(kept),
                 [&](const PlannedPoint& point) { return cost(point) <= most; });
    if (kept.size() < plan.size() && !kept.empty())
      profile_.provenance.notes.push_back(fmt::format("{} points left out: each takes over {}, an eighth of the budget",
                                                      plan.size() - kept.size(), human(most)));
    return kept.empty() ? plan : kept;
  }

  /// Calls in parts of half a second, so that a stop is heard.
  std::vector<Seconds> cold_calls(const TokenHistogram& histogram, int calls, Seconds each) {
    constexpr Seconds kPart{0.5};
    const int part = std::clamp(static_cast<int>(kPart / each), 1, kMostCalls);
    std::vector<Seconds> times;
    while (static_cast<int>(times.size()) < calls && (times.size() < kLeastCalls || !watch_.stop())) {
      const auto more =
          backend_.run(histogram.rows, std::min(part, calls - static_cast<int>(times.size())), Caches::cold);
      times.insert(times.end(), more.begin(), more.end());
    }
    return times;
  }

  void measure(const PlannedPoint& planned) {
    backend_.prepare(planned.shape);
    ProfilePoint point;
    point.kernel = backend_.kernel(planned.shape.format);
    point.shape = planned.shape;
    point.histogram = planned.histogram;
    point.held_out = planned.held_out;
    const Seconds first = backend_.run(planned.histogram.rows, 1, Caches::cold).front();
    slowness_.push_back(first / guess(planned));
    const int calls = std::clamp(static_cast<int>(std::min(slice(), left()) / first), kLeastCalls, kMostCalls);
    set_percentiles(cold_calls(point.histogram, calls, first), point);
    if (is_unsteady(point) && has_time_for(point.median * calls))
      set_percentiles(cold_calls(point.histogram, calls, first), point);
    point.unstable = is_unsteady(point);
    if (!request_.quick && has_time_for(point.median * (kLeastCalls + 1.0))) {
      ProfilePoint warm;
      backend_.run(point.histogram.rows, 1, Caches::warm);
      set_percentiles(backend_.run(point.histogram.rows, kLeastCalls, Caches::warm), warm);
      point.warm = warm.median;
    }
    if (anchors_.size() < kAnchors && point.median <= slice() / kLeastCalls) anchors_.push_back(profile_.points.size());
    profile_.points.push_back(std::move(point));
  }

  void repeat_anchors() {
    last_anchors_ = elapsed();
    for (const std::size_t anchor : anchors_) {
      const ProfilePoint& first = profile_.points[anchor];
      if (watch_.stop() || first.median * (kLeastCalls + 1.0) > left()) continue;
      backend_.prepare(first.shape);
      backend_.run(first.histogram.rows, 1, Caches::cold);
      ProfilePoint again;
      set_percentiles(backend_.run(first.histogram.rows, kLeastCalls, Caches::cold), again);
      Drift drift = profile_.drift.value_or(Drift{});
      ++drift.anchors;
      drift.worst = std::max(drift.worst, std::abs(again.median / first.median - 1));
      profile_.drift = drift;
    }
  }

  void tell() {
    profile_.hold_out = hold_out_errors(profile_);
    const std::size_t done = profile_.points.size();
    const auto planned = static_cast<std::size_t>(profile_.planned);
    const Seconds whole = elapsed() * (static_cast<double>(planned) / static_cast<double>(done));
    watch_.progress(profile_, {done, planned, elapsed(), std::min(whole, request_.budget)});
  }

  [[noreturn]] void refuse(const std::vector<PlannedPoint>& plan) const {
    if (watch_.stop()) throw RunError{"stopped before the first point was measured"};
    if (plan.empty()) throw RunError{"no rank of these models fits in half of this machine's memory"};
    Seconds cheapest = cost(plan.front());
    for (const PlannedPoint& point : plan) cheapest = std::min(cheapest, cost(point));
    throw InputError{"--budget-seconds", fmt::format("{:g}", request_.budget.value()),
                     fmt::format("at least {:.2g} for one point of these models here", (elapsed() + cheapest).value())};
  }

  ExpertBackend& backend_;
  const CalibrationRequest& request_;
  const CalibrationWatch& watch_;
  Profile& profile_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  Seconds last_anchors_;
  std::vector<double> slowness_;      ///< measured over guessed, of every point
  std::vector<std::size_t> anchors_;  ///< of profile_.points
};

}  // namespace

void calibrate(ExpertBackend& backend, const CalibrationRequest& request, const CalibrationWatch& watch,
               Profile& profile) {
  Calibrator{backend, request, watch, profile}.run();
}

}  // namespace moesim
