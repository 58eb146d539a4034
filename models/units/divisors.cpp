#include "models/units/divisors.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace moesim {
namespace {

std::string either(long long below, long long above) {
  if (below < 1) return fmt::format("{}", above);
  return below == above || above < 1 ? fmt::format("{}", below) : fmt::format("{} or {}", below, above);
}

}  // namespace

std::string nearest_divisors(long long count, long long whole) {
  long long below = std::min(count, whole), above = count;
  while (below > 1 && whole % below != 0) --below;
  while (above <= whole && whole % above != 0) ++above;
  return either(below, above <= whole ? above : 0);
}

std::string nearest_multiples(long long count, long long unit, long long least) {
  const long long below = count / unit * unit, above = (std::max(count, least) + unit - 1) / unit * unit;
  return either(below >= least ? below : 0, std::max(above, unit));
}

}  // namespace moesim
