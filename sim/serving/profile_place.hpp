#pragma once
// What a profile lacks, told at the place in the scenario that asks for it.

#include <string>

#include "models/units/error.hpp"
#include "sim/scenario/scenario.hpp"

namespace moesim {

/// Calls `work`; its refusals of the key kernels.profile get the file and line of that key.
template <class Work>
auto at_profile_key(const KernelSpec& kernels, const Work& work) {
  const std::string key = "kernels.profile";
  try {
    return work();
  } catch (const InputError& error) {
    if (error.where().rfind(key, 0) != 0) throw;
    throw InputError{kernels.profile_where + error.where().substr(key.size()), error.found(), error.expected(),
                     error.hint()};
  }
}

}  // namespace moesim
