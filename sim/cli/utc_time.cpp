#include "sim/cli/utc_time.hpp"

#include <chrono>

#include <fmt/chrono.h>

namespace moesim {

std::string now_in_utc() {
  const auto now = std::chrono::time_point_cast<std::chrono::seconds>(std::chrono::system_clock::now());
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(now.time_since_epoch().count()));
}

}  // namespace moesim
