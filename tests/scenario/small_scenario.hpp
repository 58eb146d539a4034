#pragma once
// The smallest scenario, and what the parser says to a variant of it.

#include <string>
#include <vector>

#include "models/units/error.hpp"
#include "sim/scenario/scenario.hpp"

namespace moesim::testing {

inline const std::string kSmall =
    "model: mixtral-8x7b\n"
    "cluster: {gpu: h100-sxm}\n"
    "workload: {tokens_per_gpu: 64}\n";

/// Relative paths mean the folder of the shipped scenarios.
inline Scenario parse(const std::string& text, const std::vector<Override>& overrides = {}) {
  return parse_scenario(text, "s.yaml", std::string{MOESIM_TEST_SOURCE_DIR} + "/scenarios", overrides);
}

/// The refusal of a text, "" when it is taken.
inline std::string refusal(const std::string& text, const std::vector<Override>& overrides = {}) {
  try {
    parse(text, overrides);
  } catch (const InputError& error) {
    return error.what();
  }
  return {};
}

}  // namespace moesim::testing
