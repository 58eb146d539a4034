#pragma once
// Which expert histograms of a simulated run are executed: a few of every class, whatever the run's length.

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "models/units/random.hpp"
#include "sim/simulate.hpp"

namespace moesim {

/// What one rank's experts got in one MoE layer of one step.
struct RankHistogram {
  int step = 0;
  int layer = 0;  ///< model layer
  int rank = 0;   ///< of the expert placement
  std::vector<std::int32_t> rows;
};

/// Histograms that cost alike: "16 to 64 rows, uneven" is the mean over slots (64 not included), and max/mean below 3.
std::string class_of(std::span<const std::int32_t> rows);

/// Keeps up to `most` histograms of each class, every one that came with the same chance (reservoir sampling).
class ReplaySample {
public:
  explicit ReplaySample(std::uint64_t seed, std::size_t most = 32);

  /// For simulate(), whose run the sample must outlive.
  ListenerMaker listener();
  void add(RankHistogram histogram);

  /// In turns over the classes, the commonest class first, so that any budget sees as many classes as it can.
  std::vector<RankHistogram> by_priority() const;
  /// How many histograms of a class the run had; ranks without rows are in none.
  std::int64_t seen(const std::string& name) const;
  std::int64_t seen() const;

private:
  struct Class {
    std::int64_t seen = 0;
    std::vector<RankHistogram> kept;
  };
  std::map<std::string, Class> classes_;
  Random random_;
  std::size_t most_;
  int step_ = 0;
};

}  // namespace moesim
