#pragma once
// Counting GPUs, ports and links.

#include <cstddef>

namespace moesim {

/// An index that is known not to be negative.
constexpr std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}

/// a / b, up.
constexpr int ceil_div(int a, int b) {
  return (a + b - 1) / b;
}

}  // namespace moesim
