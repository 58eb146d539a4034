#pragma once
// How tokens get to experts on other GPUs and back: algorithm, copies, what the kernels achieve.

#include <map>
#include <string>

#include "models/layout/layout.hpp"
#include "models/traffic/traffic.hpp"
#include "sim/scenario/scenario.hpp"

namespace moesim {

struct TokenExchange {
  AllToAll all_to_all;
  CopyRule copies;
  CollectiveParameters dispatch, combine;  ///< of the kernels on this GPU, for a group of this size
};

/// What the scenario asks for, each `auto` decided and noted in `chosen` by its key.
/// Throws InputError for an algorithm that this cluster or these copies cannot have.
TokenExchange choose_exchange(const Scenario& scenario, const Layout& layout,
                              std::map<std::string, std::string>& chosen);

}  // namespace moesim
