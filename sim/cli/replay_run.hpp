#pragma once
// Sets predicted against measured times of sampled histograms: a profile's prediction against a device that executes
// them, or the simulator's own kernel times against a profile.

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "models/kernels/expert_backend.hpp"
#include "models/kernels/kernel_times.hpp"
#include "models/kernels/profile_interpolation.hpp"
#include "sim/cli/replay_sample.hpp"

namespace moesim {

struct ReplayedHistogram {
  RankHistogram histogram;
  std::string name;             ///< of its class
  int calls = 0;                ///< timed on the device; 0: nothing was executed
  Seconds predicted, measured;  ///< measured: median with cold weights, or what a profile says

  double error() const { return predicted / measured - 1; }
};

/// Statistics of a class, or of all.
struct ReplayErrors {
  std::string name;
  std::int64_t seen = 0;  ///< histograms of the run
  int replayed = 0;
  Seconds predicted, measured;            ///< means
  double median = 0, p90 = 0, worst = 0;  ///< of |predicted / measured - 1|
  double bias = 0;                        ///< median of predicted / measured - 1: below 0 is too fast
};

/// Runs histograms in their order until `budget` is spent; the first one always. Each: a call to warm up, then one to
/// five. Those that the device has no memory or no kernel for are left out. `progress` hears how many are done.
/// Requires that the model knows the shape.
std::vector<ReplayedHistogram> replay(ExpertBackend& backend, const KernelShape& shape,
                                      const ProfileInterpolation& model, const std::vector<RankHistogram>& histograms,
                                      Seconds budget, const std::function<void(std::size_t)>& progress);

/// The simulator's times of histograms against those of a profile; nothing is executed, and all are compared.
std::vector<ReplayedHistogram> compare_with_profile(const ExpertTimes& simulator, const KernelShape& shape,
                                                    const ProfileInterpolation& model,
                                                    const std::vector<RankHistogram>& histograms);

/// The simulator's times against the profile's measured points of these widths and this format, held-out ones too, for
/// any number of experts: "all" first, then by kind of histogram. Empty without such points.
std::vector<ReplayErrors> errors_at_points(const ExpertTimes& simulator, const KernelShape& shape,
                                           const Profile& profile);

/// "all" first, then the classes that were replayed, the commonest first.
std::vector<ReplayErrors> replay_errors(const std::vector<ReplayedHistogram>& replayed, const ReplaySample& sample);

}  // namespace moesim
