#pragma once
// Many random words from one key: xoshiro256++ (Blackman, Vigna, ACM TOMS 47(4), 2021) seeded by the counter-based
// generator. Philox alone would cost more than the rest of a draw of 256 loads; the value still depends on the key
// only.

#include <array>
#include <bit>
#include <cstdint>

#include "models/units/random.hpp"

namespace moesim {

class FastStream {
public:
  explicit FastStream(Random key) {
    for (std::uint64_t& word : state_) word = std::uint64_t{key.bits()} << 32 | key.bits();
    state_[0] |= 1;  // all zero is the one state that never leaves
  }

  std::uint64_t bits64() {
    const std::uint64_t result = std::rotl(state_[0] + state_[3], 23) + state_[0];
    const std::uint64_t shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = std::rotl(state_[3], 45);
    return result;
  }
  std::uint32_t bits() { return static_cast<std::uint32_t>(bits64() >> 32); }

private:
  std::array<std::uint64_t, 4> state_;
};

}  // namespace moesim
