#pragma once
// The time of day in what results and profiles say.

#include <string>

namespace moesim {

/// "2026-01-31T12:00:00Z", now.
std::string now_in_utc();

}  // namespace moesim
