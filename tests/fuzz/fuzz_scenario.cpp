// Any text is either a scenario or an InputError. What is taken must load again from its resolved form.

#include <cstdint>
#include <cstdlib>
#include <string>

#include "models/units/error.hpp"
#include "sim/scenario/scenario.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text{reinterpret_cast<const char*>(data), size};
  try {
    const moesim::Scenario scenario = moesim::parse_scenario(text, "fuzz.yaml", "/nowhere");
    const moesim::Scenario again = moesim::parse_scenario(moesim::resolved_yaml(scenario), "fuzz.yaml", "/");
    if (moesim::scenario_hash(again) != moesim::scenario_hash(scenario)) std::abort();
  } catch (const moesim::InputError&) {
  }
  return 0;
}
