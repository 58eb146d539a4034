#pragma once
// Simulations in processes of their own, for tests that need several and all that a summary says.

#include <string>

#include <nlohmann/json.hpp>

#include "sim/engine/forked.hpp"
#include "sim/metrics/summary_json.hpp"
#include "sim/simulate.hpp"

namespace moesim::testing {

inline nlohmann::json forked_summary(const Scenario& scenario) {
  const auto letters = run_forked("summary", [&] {
    const std::string text = summary_json(simulate(scenario, 0));
    return std::vector<double>(text.begin(), text.end());
  });
  return nlohmann::json::parse(std::string(letters.begin(), letters.end()));
}

}  // namespace moesim::testing
