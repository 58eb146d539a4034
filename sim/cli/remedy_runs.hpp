#pragma once
// The scenario again, with the remedies of its worst hotspots: what each is worth, simulated and not guessed.

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "sim/cli/compare_workers.hpp"
#include "sim/metrics/summary.hpp"
#include "sim/scenario/scenario.hpp"

namespace moesim {

struct RemedyRun {
  std::vector<Override> set;
  std::optional<Seconds> step;  ///< mean; none when it did not end well
  std::string failure;          ///< why there is none
  bool died = false;            ///< its process did, or the simulation failed: no verdict on the remedy
};

/// Simulates the scenario to learn its hotspots, then with each of `most` different remedies of them: worst hotspot
/// first, and where hotspots share theirs, what may help instead. Every run in a process of its own, with the
/// scenario's seed, and without an audit. Empty when the scenario is refused: then the run itself says why. Throws
/// RunError when the first process dies, and Interrupted.
std::vector<RemedyRun> run_remedies(const std::filesystem::path& file, const std::vector<Override>& overrides, int most,
                                    const Progress& progress);

/// Tells each hotspot what the reruns with its keys, and with others instead, found.
void add_gains(const std::vector<RemedyRun>& runs, Summary& summary);

}  // namespace moesim
