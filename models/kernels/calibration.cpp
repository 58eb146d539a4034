#include "models/kernels/calibration.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <new>
#include <optional>
#include <set>

#include <fmt/format.h>

#include "models/kernels/point_timer.hpp"
#include "models/kernels/profile_interpolation.hpp"
#include "models/units/error.hpp"
#include "models/units/text.hpp"

namespace moesim {
namespace {

constexpr int kAnchors = 3;
constexpr double kDip = 0.03;              ///< by which more rows must not be faster
constexpr double kLargestShare = 1.0 / 8;  ///< of the budget that one point may take
constexpr double kLateShare = 0.2;         ///< over the budget that is worth a note

class Calibrator {
public:
  Calibrator(ExpertBackend& backend, const CalibrationRequest& request, const CalibrationWatch& watch, Profile& profile)
      : backend_{backend}, request_{request}, watch_{watch}, profile_{profile}, timer_{backend, request, watch.stop} {}

  void run() {
    describe();
    CalibrationRequest request = request_;
    request.wide |= profile_.device.kind == DeviceKind::cuda;
    const std::vector<PlannedPoint> plan = affordable(calibration_plan(request, backend_.formats()));
    const std::vector<OperationPoint> operations = backend_.operations();
    profile_.planned = static_cast<int>(plan.size() + operations.size());
    constexpr int kCurvesAndJudges = 1;  // the stages that other operations wait for
    const auto rest = std::find_if(plan.begin(), plan.end(),
                                   [](const PlannedPoint& point) { return point.stage > kCurvesAndJudges; });
    measure_points({plan.begin(), rest});
    if (!profile_.points.empty()) measure_operations(operations);
    measure_points({rest, plan.end()});
    if (profile_.points.empty()) refuse(plan);
    repeat_anchors();
    profile_.complete = done() == static_cast<std::size_t>(profile_.planned);
    finish();
  }

private:
  std::size_t done() const { return profile_.points.size() + profile_.operations.size(); }
  Seconds anchor_interval() const { return std::max(Seconds{5}, request_.budget / 8); }

  void describe() {
    profile_.device = backend_.device();
    profile_.provenance.libraries = backend_.libraries();
    for (std::string& note : backend_.notes()) profile_.provenance.notes.push_back(std::move(note));
    profile_.provenance.seed = request_.seed;
    profile_.provenance.budget = request_.budget;
    profile_.device.copy = backend_.measure_copy();
    for (const KernelFormat format : backend_.formats())
      for (FormatRate& rate : backend_.measure_gemm(format)) profile_.device.gemm.push_back(std::move(rate));
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
    return guess(point) * slowness * (PointTimer::kLeastCalls + 1.0);
  }

  /// What the whole of a similar point took, wall-clock: weights made and packed, calls, a second look. Of the same
  /// shape, else of the one measured last, by their guesses.
  Seconds taken(const PlannedPoint& point) const {
    if (const auto same = taken_.find(point.shape); same != taken_.end()) return same->second;
    if (!last_) return {};
    return last_->took * std::max(1.0, guess(point) / last_->guessed);
  }

  bool fits_budget(const PlannedPoint& point) const {
    return cost(point) <= std::min(timer_.left(), kLargestShare * request_.budget) && taken(point) <= timer_.left();
  }

  /// The least repetitions of a point that was measured, and what preparing it took.
  bool fits_again(const ProfilePoint& point) const {
    const Seconds prepared = taken_.at(point.shape) - timer_.slice();
    return timer_.fits(point.median) && prepared <= timer_.left();
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

  void measure_points(std::span<const PlannedPoint> plan) {
    for (const PlannedPoint& point : plan) {
      if (watch_.stop()) break;
      if (!fits_budget(point)) continue;  // a cheaper one may fit
      if (!can([&] { measure(point); })) continue;
      tell();
      if (timer_.elapsed() - last_anchors_ > anchor_interval()) repeat_anchors();
    }
    measure_dips();
  }

  /// Whether `work` found the memory and the kernel it needs; the points that did not are counted.
  template <class Work>
  bool can(const Work& work) {
    try {
      work();
      return true;
    } catch (const std::bad_alloc&) {
      ++out_of_memory_;
    } catch (const KernelMissing&) {
      ++without_kernel_;
    }
    return false;
  }

  void measure(const PlannedPoint& planned) {
    const Seconds start = timer_.elapsed();
    Seconds first;
    profile_.points.push_back(timer_.time(planned, first));
    slowness_.push_back(first / guess(planned));
    last_ = Taken{timer_.elapsed() - start, guess(planned)};
    taken_[planned.shape] = last_->took;
    const Seconds median = profile_.points.back().median;
    if (anchors_.size() < kAnchors && median <= timer_.slice() / PointTimer::kLeastCalls)
      anchors_.push_back(profile_.points.size() - 1);
  }

  void measure_operations(const std::vector<OperationPoint>& operations) {
    Seconds last;
    for (std::size_t i = 0; i < operations.size() && !watch_.stop() && timer_.left() > last; ++i) {
      const Seconds start = timer_.elapsed();
      std::optional<OperationPoint> point;
      can([&] { point = timer_.time(operations[i], i); });
      last = timer_.elapsed() - start;
      if (!point) continue;
      profile_.operations.push_back(*std::move(point));
      tell();
    }
  }

  /// More rows on every expert cannot be faster: where they are, both points are measured once more, and the lower
  /// medians count, as what disturbs a measurement makes it longer.
  void measure_dips() {
    std::map<KernelShape, std::map<std::int32_t, std::size_t>> curves;  // point by rows
    for (std::size_t i = 0; i < profile_.points.size(); ++i) {
      const ProfilePoint& point = profile_.points[i];
      if (point.histogram.kind == HistogramKind::uniform) curves[point.shape][point.histogram.rows.front()] = i;
    }
    for (const auto& [shape, curve] : curves)
      for (auto fewer = curve.begin(), more = std::next(fewer); more != curve.end(); fewer = more++)
        if (profile_.points[more->second].median < (1 - kDip) * profile_.points[fewer->second].median)
          for (const std::size_t point : {fewer->second, more->second}) measure_again(point);
  }

  void measure_again(std::size_t index) {
    ProfilePoint& point = profile_.points[index];
    if (watch_.stop() || !fits_again(point) || !again_.insert(index).second) return;
    can([&] {
      Seconds first;
      ProfilePoint again = timer_.time({point.shape, point.histogram, 0, point.held_out}, first);
      if (again.median < point.median) point = std::move(again);
    });
  }

  void repeat_anchors() {
    last_anchors_ = timer_.elapsed();
    for (const std::size_t anchor : anchors_) {
      const ProfilePoint& first = profile_.points[anchor];
      if (watch_.stop() || !fits_again(first)) continue;
      const Seconds again = timer_.time_again(first);
      Drift drift = profile_.drift.value_or(Drift{});
      ++drift.anchors;
      drift.worst = std::max(drift.worst, std::abs(again / first.median - 1));
      profile_.drift = drift;
    }
  }

  void tell() {
    profile_.hold_out = hold_out_errors(profile_);
    const auto planned = static_cast<std::size_t>(profile_.planned);
    const Seconds elapsed = timer_.elapsed();
    const Seconds whole = elapsed * (static_cast<double>(planned) / static_cast<double>(done()));
    watch_.progress(profile_, {done(), planned, elapsed, std::min(whole, request_.budget)});
  }

  void finish() {
    std::vector<std::string> notes = backend_.closing_notes();
    if (out_of_memory_ > 0)
      notes.push_back(fmt::format("{} points left out: the device was out of memory", out_of_memory_));
    if (without_kernel_ > 0)
      notes.push_back(fmt::format("{} points left out: no kernel here takes them", without_kernel_));
    if (const Seconds late = timer_.elapsed(); late > (1 + kLateShare) * request_.budget)
      notes.push_back(
          fmt::format("took {:.3g} s of a budget of {:.3g} s: measuring the ceilings and the point that was "
                      "under way took so long, as they do beside others' work",
                      late.value(), request_.budget.value()));
    profile_.provenance.notes.insert(profile_.provenance.notes.end(), notes.begin(), notes.end());
    tell();
  }

  [[noreturn]] void refuse(const std::vector<PlannedPoint>& plan) const {
    if (watch_.stop()) throw RunError{"stopped before the first point was measured"};
    if (out_of_memory_ > 0) throw RunError{"the device was out of memory before the first point was measured"};
    if (without_kernel_ > 0) throw RunError{"no kernel of this device takes any point of these models"};
    if (plan.empty()) throw RunError{"no rank of these models fits in half of this device's memory"};
    Seconds cheapest = cost(plan.front());
    for (const PlannedPoint& point : plan) cheapest = std::min(cheapest, cost(point));
    throw InputError{
        "--budget-seconds", fmt::format("{:g}", request_.budget.value()),
        fmt::format("at least {:.2g} for one point of these models here", (timer_.elapsed() + cheapest).value())};
  }

  ExpertBackend& backend_;
  const CalibrationRequest& request_;
  const CalibrationWatch& watch_;
  Profile& profile_;
  PointTimer timer_;
  Seconds last_anchors_;
  struct Taken {
    Seconds took, guessed;
  };
  std::map<KernelShape, Seconds> taken_;        ///< by the last point of a shape, wall-clock
  std::optional<Taken> last_;                   ///< by the last point
  std::vector<double> slowness_;                ///< measured over guessed, of every point
  std::vector<std::size_t> anchors_;            ///< of profile_.points
  std::set<std::size_t> again_;                 ///< points that were measured twice because of a dip
  int out_of_memory_ = 0, without_kernel_ = 0;  ///< points
};

}  // namespace

std::vector<Seconds> ExpertBackend::run_operation(std::size_t /*index*/, int /*calls*/) {
  throw std::logic_error{"this backend has no operations"};
}

void calibrate(ExpertBackend& backend, const CalibrationRequest& request, const CalibrationWatch& watch,
               Profile& profile) {
  Calibrator{backend, request, watch, profile}.run();
}

}  // namespace moesim
