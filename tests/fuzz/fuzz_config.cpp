// Any text is either a model's config.json or an InputError.

#include <cstdint>
#include <cstdlib>
#include <string>

#include "models/llm/parameters.hpp"
#include "models/units/error.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text{reinterpret_cast<const char*>(data), size};
  try {
    const moesim::Architecture model = moesim::parse_architecture(text, "fuzz.json");
    if (moesim::count_parameters(model).total <= 0) std::abort();
  } catch (const moesim::InputError&) {
  }
  return 0;
}
