#pragma once
// Which points to measure, and measuring them on any backend until they or the time are spent.

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/kernels/expert_backend.hpp"

namespace moesim {

/// A model's expert layer, from which ranks of several sizes are made.
struct ExpertLayer {
  int hidden = 0;
  int intermediate = 0;
  int experts = 0;
  bool mxfp4 = false;  ///< stored so, as gpt-oss: measured in that format too, which no other layer is
};

/// The models whose layers are calibrated unless others are asked for.
struct NamedLayer {
  std::string_view model;  ///< as the zoo calls it
  ExpertLayer layer;
};
std::span<const NamedLayer> usual_layers();

struct CalibrationRequest {
  std::vector<ExpertLayer> layers;
  Seconds budget;
  bool quick = false;  ///< the first two stages of the plan alone, and fewer repetitions
  bool wide = false;   ///< more sizes, rows and draws, for a device that takes thousands of points in minutes
  std::uint64_t seed = 1;
};

struct PlannedPoint {
  KernelShape shape;
  TokenHistogram histogram;
  int stage = 0;  ///< earlier stages are worth more: a coarse curve of each layer, what judges it, then the rest
  bool held_out = false;

  bool operator==(const PlannedPoint&) const = default;
};

/// rows of `total` tokens under a law; the same for the same seed. zipf takes the exponent.
/// Requires experts >= 1, total >= 1, and a multiple of experts for uniform. Not for recorded.
TokenHistogram draw_histogram(HistogramKind kind, double exponent, int experts, std::int64_t total, std::uint64_t seed);

/// Stage by stage, in an order shuffled with the seed inside a stage.
///
/// A layer's ranks hold 1, 2, 4, 8 ... of its experts, as far as 1 GiB of weights; the largest of these up to 8 leads
/// and comes first, the others last. Uniform histograms of 1 to 1,024 rows (powers of two) carry the prediction; rows
/// between them, and every other kind of histogram, are held out. A wide plan goes on: up to 64 experts and 8 GiB,
/// 2,048 rows, one row past the edges of tiles, and skewed histograms of every size.
std::vector<PlannedPoint> calibration_plan(const CalibrationRequest& request, const std::vector<KernelFormat>& formats);

struct CalibrationProgress {
  std::size_t done = 0, planned = 0;  ///< points and operations
  Seconds elapsed;
  Seconds expected;  ///< of the whole run, never above the budget
};

struct CalibrationWatch {
  std::function<bool()> stop;  ///< asked between calls of a kernel: true ends the run
  std::function<void(const Profile&, const CalibrationProgress&)> progress;  ///< after every point
};

/// Measures ceilings, then the plan's points and the backend's other operations, into `profile`, which is valid after
/// its first point whenever this returns or throws. Sets everything but the date and the program's version. A GPU gets
/// a wide plan. Per point: one call to warm up, then as many as a share of the budget takes, 3 to 30, weights cold;
/// then some warm. When p90 - p10 is above 10 % of the median it is measured once more. Up to three anchor points are
/// repeated. So are two uniform points of which the one with more rows is faster by over 3 %: the lower medians count.
/// Points too dear for an eighth of the budget, or for the device's memory, are left out with a note.
/// Throws InputError (--budget-seconds) when the budget does not take one point.
void calibrate(ExpertBackend& backend, const CalibrationRequest& request, const CalibrationWatch& watch,
               Profile& profile);

}  // namespace moesim
