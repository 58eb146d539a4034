#pragma once
// Which request a token of a step belongs to, and where in it.

#include <cstdint>

namespace moesim {

struct RequestPlace {
  std::uint32_t request, position;
};

/// request_tokens 0: decode, token t of every step is sequence t, which goes on for the whole run. Otherwise requests
/// of that many tokens stand in a row in every step, and steps share none.
inline RequestPlace request_place(std::uint32_t step, std::uint32_t token, int request_tokens) {
  if (request_tokens == 0) return {token, step};
  const auto length = static_cast<std::uint32_t>(request_tokens);
  // 2^20 requests of a step before two steps could share a number
  return {(step << 20) + token / length, token % length};
}

}  // namespace moesim
