#pragma once
// The whole numbers that an error about a count offers instead.

#include <string>

namespace moesim {

/// Divisors of `whole` next below and above `count`, as "2 or 4"; one of them where there is no other. Both at least 1.
std::string nearest_divisors(long long count, long long whole);

/// Multiples of `unit` next to `count` that are at least `least`, as "8 or 16". `unit` at least 1.
std::string nearest_multiples(long long count, long long unit, long long least = 1);

}  // namespace moesim
