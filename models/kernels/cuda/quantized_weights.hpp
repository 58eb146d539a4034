#pragma once
// How quantised weights lie in memory, and what they are worth: shared by the decode kernels and their references.
//
// One expert's weights [n, k] are panels of 64 rows, each cut into stages 64 deep in k, panel after panel:
//
//   packed [n / 64, k / 64, 4 tiles of 16 rows, vectors, 32 lanes] of 16 bytes
//   scales [n / 64, k / record_depth] records
//
// A vector holds the codes that one lane of a warp multiplies: it is copied by 16 bytes and needs no shuffling. Lane l
// has rows r = l / 4 and r + 8 of its tile; along k it has, of every 32, the eight from 8 (l % 4) on, which are also
// eight consecutive activations. So the order along k within a step of the matrix units is not the natural one, for
// both operands alike.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "models/kernels/cuda/operands.hpp"

namespace moesim::cuda {

constexpr int kPanelRows = 64, kPanelTiles = 4, kPanelDepth = 64;

constexpr bool is_int4(WeightFormat format) {
  return format == WeightFormat::int4_group128 || format == WeightFormat::int4_group32;
}
constexpr int code_bits(WeightFormat format) {
  return format == WeightFormat::fp8_block128 ? 8 : 4;
}
/// Weights along k that share a scale; k must divide by it and by 64.
constexpr int group_depth(WeightFormat format) {
  return format == WeightFormat::int4_group32 || format == WeightFormat::mxfp4 ? 32 : 128;
}
/// What one record of scales covers along k.
constexpr int record_depth(WeightFormat format) {
  return format == WeightFormat::mxfp4 ? kPanelDepth : group_depth(format);
}
/// Scales of one panel. int4: for r = 0 .. 7, for each tile, bf16 of rows r and r + 8. mxfp4: for r = 0 .. 7, for both
/// groups, for each tile, the exponents + 127 (e8m0) of rows r and r + 8; 0 stands for 0. fp8: fp32 of rows 0-7 and of
/// rows 8-15 of all tiles, which are gate and up where these are interleaved by 8; padded to one copy.
constexpr int record_bytes(WeightFormat format) {
  return format == WeightFormat::fp8_block128 ? 16 : kPanelRows * 2;
}

/// One expert's weights with their scales; n divides by 64 unless they are bf16.
constexpr std::size_t weight_bytes(WeightFormat format, int n, int k) {
  const auto rows = static_cast<std::size_t>(n), depth = static_cast<std::size_t>(k);
  if (format == WeightFormat::bf16) return rows * depth * sizeof(Bf16);
  return rows * depth * static_cast<std::size_t>(code_bits(format)) / 8 +
         rows / kPanelRows * (depth / static_cast<std::size_t>(record_depth(format))) *
             static_cast<std::size_t>(record_bytes(format));
}

/// Weights as they are before packing: codes [n, k] (0 to 15, e2m1 or e4m3), scales [n, k / group_depth].
struct QuantizedMatrix {
  WeightFormat format;
  int n, k;
  std::vector<std::uint8_t> codes;
  /// int4: bf16 values; mxfp4: powers of two; fp8: equal in rows 0-7 of all tiles of a panel, and in rows 8-15
  std::vector<float> scales;
};

/// weight_bytes() as the kernels read them.
std::vector<Vector16> pack(const QuantizedMatrix& matrix);

/// The values [n, k] that the codes and scales stand for.
std::vector<double> dequantised(const QuantizedMatrix& matrix);

/// The value of an e2m1 code, 0 to 15 (OCP microscaling formats 1.0).
double e2m1_value(std::uint8_t code);

/// The value of an e4m3 code (OCP 8-bit floating point 1.0: no infinities, NaN at 0x7F and 0xFF).
double e4m3_value(std::uint8_t code);

/// Random codes and scales; `bits()` gives 32 random bits. Values have about the given standard deviation.
template <class Bits>
QuantizedMatrix random_weights(WeightFormat format, int n, int k, double deviation, Bits bits) {
  QuantizedMatrix matrix{format, n, k, {}, {}};
  for (int at = 0; at < n * k; ++at) {
    const auto code = static_cast<std::uint8_t>(bits() >> 24);
    matrix.codes.push_back(code_bits(format) == 4 ? code % 16 : (code & 0x7F) == 0x7F ? 0 : code);
  }
  // Uniform codes have a standard deviation of 4.6 (int4), 2.9 (e2m1) and 102 (e4m3). Scales differ by a factor of two.
  const double unit = deviation / (is_int4(format) ? 4.6 : format == WeightFormat::mxfp4 ? 2.9 : 102.0);
  const auto scale = [&]() -> float {
    const auto value = static_cast<float>(unit * (0.7 + 0.7 * static_cast<double>(bits()) * 0x1p-32));
    if (format == WeightFormat::fp8_block128) return value;
    return format == WeightFormat::mxfp4 ? std::exp2(std::round(std::log2(value))) : float_from(bf16_from(value));
  };
  const int groups = k / group_depth(format);
  matrix.scales.resize(static_cast<std::size_t>(n * groups));
  for (int row = 0; row < n; ++row)
    for (int group = 0; group < groups; ++group) {
      const auto at = [&](int r) -> float& { return matrix.scales[static_cast<std::size_t>(r * groups + group)]; };
      const int block = row / kPanelRows * kPanelRows + row % 16 / 8 * 8;  // the first row with this row's fp8 scale
      at(row) = format == WeightFormat::fp8_block128 && row != block ? at(block) : scale();
    }
  return matrix;
}

}  // namespace moesim::cuda
