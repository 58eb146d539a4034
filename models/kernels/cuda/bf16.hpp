#pragma once
// bfloat16 as bits, so that device code, its emulation and the references share one type without CUDA headers.

#include <bit>
#include <cmath>
#include <cstdint>

namespace moesim::cuda {

struct Bf16 {
  std::uint16_t bits;
};

/// Sixteen bytes, the widest access of one thread: eight bfloat16.
struct alignas(16) Vector16 {
  std::uint32_t words[4];
};

/// Round to nearest, ties to even, NaN kept: what `cvt.rn.bf16.f32` does.
inline Bf16 bf16_from(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if (std::isnan(value)) return {static_cast<std::uint16_t>((bits >> 16) | 0x40u)};
  return {static_cast<std::uint16_t>((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16)};
}

inline float float_from(Bf16 value) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(value.bits) << 16);
}

}  // namespace moesim::cuda
