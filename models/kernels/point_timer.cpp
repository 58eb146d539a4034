#include "models/kernels/point_timer.hpp"

#include <algorithm>

#include "models/kernels/profile_interpolation.hpp"

namespace moesim {
namespace {

constexpr double kUnsteady = 0.1;  ///< p90 - p10 over the median

Seconds median(const std::vector<Seconds>& times) {
  std::vector<double> values;
  for (const Seconds time : times) values.push_back(time.value());
  return Seconds{quantile(values, 0.5)};
}

/// Point: a ProfilePoint or an OperationPoint.
template <class Point>
void set_percentiles(const std::vector<Seconds>& times, Point& point) {
  std::vector<double> values;
  for (const Seconds time : times) values.push_back(time.value());
  point.repetitions = static_cast<int>(times.size());
  point.p10 = Seconds{quantile(values, 0.1)};
  point.median = Seconds{quantile(values, 0.5)};
  point.p90 = Seconds{quantile(values, 0.9)};
  point.unstable = point.p90 - point.p10 > kUnsteady * point.median;
}

}  // namespace

Seconds PointTimer::elapsed() const {
  return Seconds{std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count()};
}

Seconds PointTimer::slice() const {
  const Seconds most{request_.quick ? 0.15 : 1.0};
  return std::min(most, request_.budget / 40);
}

int PointTimer::calls_for(Seconds each) const {
  return std::clamp(static_cast<int>(std::min(slice(), left()) / each), kLeastCalls, kMostCalls);
}

bool PointTimer::has_time_for(Seconds more) const {
  return more <= std::min(2 * slice(), left()) && !stop_();
}

/// Calls in parts of half a second, so that a stop is heard.
std::vector<Seconds> PointTimer::cold_calls(const TokenHistogram& histogram, int calls, Seconds each) {
  constexpr Seconds kPart{0.5};
  const int part = std::clamp(static_cast<int>(kPart / each), 1, kMostCalls);
  std::vector<Seconds> times;
  while (static_cast<int>(times.size()) < calls && (times.size() < kLeastCalls || !stop_())) {
    const int more = std::min(part, calls - static_cast<int>(times.size()));
    const std::vector<Seconds> next = backend_.run(histogram.rows, more, Caches::cold).times;
    times.insert(times.end(), next.begin(), next.end());
  }
  return times;
}

template <class Point, class Run>
void PointTimer::set_steady(Point& point, int calls, const Run& run) {
  set_percentiles(run(), point);
  if (point.unstable && has_time_for(point.median * calls)) set_percentiles(run(), point);
}

ProfilePoint PointTimer::time(const PlannedPoint& planned, Seconds& first) {
  backend_.prepare(planned.shape);
  const KernelRun warm_up = backend_.run(planned.histogram.rows, 1, Caches::cold);
  first = warm_up.times.front();
  ProfilePoint point;
  point.kernel = warm_up.kernel;
  point.shape = planned.shape;
  point.histogram = planned.histogram;
  point.held_out = planned.held_out;
  const int calls = calls_for(first);
  set_steady(point, calls, [&] { return cold_calls(point.histogram, calls, first); });
  if (!request_.quick && has_time_for(point.median * (kLeastCalls + 1.0))) {
    backend_.run(point.histogram.rows, 1, Caches::warm);
    point.warm = median(backend_.run(point.histogram.rows, kLeastCalls, Caches::warm).times);
  }
  return point;
}

Seconds PointTimer::time_again(const ProfilePoint& point) {
  backend_.prepare(point.shape);
  backend_.run(point.histogram.rows, 1, Caches::cold);
  return median(backend_.run(point.histogram.rows, kLeastCalls, Caches::cold).times);
}

std::optional<OperationPoint> PointTimer::time(const OperationPoint& operation, std::size_t index) {
  const Seconds first = backend_.run_operation(index, 1).front();
  if (!fits(first)) return std::nullopt;
  OperationPoint point = operation;
  const int calls = calls_for(first);
  set_steady(point, calls, [&] { return backend_.run_operation(index, calls); });
  return point;
}

}  // namespace moesim
