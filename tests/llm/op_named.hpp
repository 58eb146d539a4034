#pragma once
// The op of a name, for tests.

#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

#include "models/llm/ops.hpp"

namespace moesim::testing {

/// Throws std::logic_error when there is none.
inline const Op& named(const std::vector<Op>& ops, const std::string& name) {
  const auto at = std::find_if(ops.begin(), ops.end(), [&](const Op& op) { return op.name == name; });
  if (at == ops.end()) throw std::logic_error{"no op " + name};
  return *at;
}

}  // namespace moesim::testing
