#pragma once
// Executes sampled histograms and sets what a profile predicts against what they took.

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "models/kernels/expert_backend.hpp"
#include "models/kernels/profile_interpolation.hpp"
#include "sim/cli/replay_sample.hpp"

namespace moesim {

struct ReplayedHistogram {
  RankHistogram histogram;
  std::string name;  ///< of its class
  int calls = 0;
  Seconds predicted, measured;  ///< measured: median, weights cold

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
/// five. `progress` hears how many are done. Requires that the model knows the shape.
std::vector<ReplayedHistogram> replay(ExpertBackend& backend, const KernelShape& shape,
                                      const ProfileInterpolation& model, const std::vector<RankHistogram>& histograms,
                                      Seconds budget, const std::function<void(std::size_t)>& progress);

/// "all" first, then the classes that were replayed, the commonest first.
std::vector<ReplayErrors> replay_errors(const std::vector<ReplayedHistogram>& replayed, const ReplaySample& sample);

}  // namespace moesim
