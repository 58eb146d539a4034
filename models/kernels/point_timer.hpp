#pragma once
// Times single points on a backend within what is left of a budget. Internal to calibration.

#include <chrono>
#include <functional>
#include <optional>
#include <vector>

#include "models/kernels/calibration.hpp"

namespace moesim {

class PointTimer {
public:
  static constexpr int kLeastCalls = 3, kMostCalls = 30;

  /// Its clock starts now.
  PointTimer(ExpertBackend& backend, const CalibrationRequest& request, std::function<bool()> stop)
      : backend_{backend}, request_{request}, stop_{std::move(stop)} {}

  Seconds elapsed() const;
  Seconds left() const { return request_.budget - elapsed(); }
  /// What one point may take for its repetitions.
  Seconds slice() const;
  /// Whether a warm-up and the least repetitions of a kernel of `each` fit in what is left.
  bool fits(Seconds each) const { return each * (kLeastCalls + 1.0) <= left(); }

  /// `first` gets the time of the call that warms up.
  ProfilePoint time(const PlannedPoint& planned, Seconds& first);
  /// The median of the least repetitions.
  Seconds time_again(const ProfilePoint& point);
  /// Nothing when it does not fit in what is left.
  std::optional<OperationPoint> time(const OperationPoint& operation, std::size_t index);

private:
  int calls_for(Seconds each) const;
  /// For what is good to have: never dearer than twice the point itself.
  bool has_time_for(Seconds more) const;
  std::vector<Seconds> cold_calls(const TokenHistogram& histogram, int calls, Seconds each);
  /// Sets the times that `run` gives, of a second run when the first was unsteady.
  template <class Point, class Run>
  void set_steady(Point& point, int calls, const Run& run);

  ExpertBackend& backend_;
  const CalibrationRequest& request_;
  std::function<bool()> stop_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace moesim
