#pragma once
// How tokens get to experts on other GPUs and back: algorithm, copies, what the kernels achieve.

#include <map>
#include <string>
#include <vector>

#include "models/layout/layout.hpp"
#include "models/traffic/traffic.hpp"
#include "sim/scenario/scenario.hpp"

namespace moesim {

struct TokenExchange {
  AllToAll all_to_all;
  CopyRule copies;
  CollectiveParameters dispatch, combine;  ///< of the kernels on this GPU, for a group of this size
};

/// What the scenario asks for, each `auto` decided and noted in `chosen` by its key; `notes` hears why an all-to-all is
/// not what the phase alone would take:
///   one_sided            one NVLink domain wider than a board
///   pairwise             nodes without NVLink, over which DeepEP's kernels do not run
///   deepep_low_latency   decode of at most 256 tokens per rank
///   deepep_normal        prefill, and decode of more
/// Throws InputError for an algorithm that this cluster, these copies or so many tokens cannot have.
TokenExchange choose_exchange(const Scenario& scenario, const Layout& layout,
                              std::map<std::string, std::string>& chosen, std::vector<std::string>& notes);

}  // namespace moesim
