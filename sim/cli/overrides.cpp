#include "sim/cli/overrides.hpp"

#include "models/units/error.hpp"

namespace moesim {

std::vector<Override> parse_overrides(const std::vector<std::string>& texts) {
  std::vector<Override> overrides;
  for (const std::string& text : texts) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0)
      throw InputError{"--set", "'" + text + "'", "path=value, as --set layout.experts.ep=16"};
    overrides.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  return overrides;
}

}  // namespace moesim
