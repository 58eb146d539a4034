#include "models/kernels/cpu/swiglu.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace moesim {
namespace {

float stored(float value, float /*as*/) {
  return value;
}
std::uint16_t stored(float value, std::uint16_t /*as*/) {
  return to_bf16(value);
}

/// Blocks of a row, so that one token keeps every thread busy too.
constexpr std::int64_t kBlock = 512;

template <class Element>
void apply(std::span<const float> gate_up, std::span<const float> combine, std::span<Element> middle) {
  const auto rows = static_cast<std::int64_t>(combine.size());
  const std::int64_t width = rows == 0 ? 0 : static_cast<std::int64_t>(middle.size()) / rows;
  const std::int64_t blocks = (width + kBlock - 1) / kBlock;
#pragma omp parallel for schedule(static) if (rows * blocks > 1)
  for (std::int64_t item = 0; item < rows * blocks; ++item) {
    const std::int64_t row = item / blocks, first = item % blocks * kBlock;
    const float* gate = gate_up.data() + row * 2 * width;
    const float weight = combine[static_cast<std::size_t>(row)];
    Element* out = middle.data() + row * width;
    for (std::int64_t c = first; c < std::min(first + kBlock, width); ++c)
      out[c] = stored(weight * gate[c] / (1 + std::exp(-gate[c])) * gate[width + c], Element{});
  }
}

}  // namespace

std::uint16_t to_bf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if (std::isnan(value)) return static_cast<std::uint16_t>((bits >> 16) | 0x40);  // rounding could carry it to infinity
  return static_cast<std::uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

float from_bf16(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

void swiglu(std::span<const float> gate_up, std::span<const float> combine, std::span<float> middle) {
  apply(gate_up, combine, middle);
}

void swiglu(std::span<const float> gate_up, std::span<const float> combine, std::span<std::uint16_t> middle) {
  apply(gate_up, combine, middle);
}

}  // namespace moesim
