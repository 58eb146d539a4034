#pragma once
// Which runs a comparison consists of.

#include <string>
#include <vector>

#include "sim/scenario/scenario.hpp"

namespace moesim {

/// As it stands on the command line.
struct CompareRequest {
  std::vector<std::string> files;
  std::vector<std::string> set;   ///< "key=value", for every run
  std::vector<std::string> vary;  ///< "key=value,value"
  bool zip = false;               ///< the first values of all keys together, then the second ones ...
  bool yes = false;               ///< 10,000 runs and more
};

struct PlannedRun {
  std::string file;
  std::vector<Override> varied;
  std::string folder;  ///< "03-quickstart", below the result folder
};

struct ComparePlan {
  std::vector<Override> set;
  std::vector<std::string> keys;  ///< of --vary
  std::string command;            ///< that plans the same: "moesim compare a.yaml --vary seed=1,2"
  std::vector<PlannedRun> runs;   ///< files outermost, the last key innermost
};

/// Throws InputError: fewer than two scenarios without --vary, a file that is not there, a key that no scenario has or
/// that is given twice, an empty list of values or value, lists of different lengths with --zip, too many runs.
ComparePlan plan_comparison(const CompareRequest& request);

/// All overrides of a run: --set, then what varies.
std::vector<Override> overrides_of(const ComparePlan& plan, const PlannedRun& run);

/// "scenarios/quickstart.yaml placement.policy=eplb", for messages.
std::string name_of(const PlannedRun& run);

}  // namespace moesim
