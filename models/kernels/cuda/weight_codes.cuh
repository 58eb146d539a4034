#pragma once
// From the codes of a quantised weight to the bfloat16 that the matrix units multiply: exact, the scale comes later.

#include "models/kernels/cuda/primitives.cuh"
#include "models/kernels/cuda/quantized_weights.hpp"

namespace moesim::cuda {

/// The codes and scales of one lane for one tile of 16 rows and one stage, and how to read them.
template <WeightFormat kFormat>
struct WeightCodes {
  static constexpr bool kInt4 = is_int4(kFormat), kMxfp4 = kFormat == WeightFormat::mxfp4;
  static constexpr int kGroup = group_depth(kFormat);
  static constexpr int kRecordDepth = record_depth(kFormat), kRecordBytes = record_bytes(kFormat);
  static constexpr int kVectors = code_bits(kFormat) / 4;  ///< of 16 bytes
  /// Groups that begin in a stage, and vectors that have their scales; the stages of a deeper group share them.
  static constexpr int kScaleSets = kGroup < kPanelDepth ? kPanelDepth / kGroup : 1;
  static constexpr int kScaleVectors = kRecordDepth < kPanelDepth ? kPanelDepth / kRecordDepth : 1;

  /// The operand of matrix step `step` of the stage's four.
  MOESIM_DEVICE static void unpack(const Vector16 (&codes)[kVectors], int step, std::uint32_t (&a)[4]) {
    MOESIM_UNROLL
    for (int reg = 0; reg < 4; ++reg) {
      if constexpr (kInt4)
        a[reg] = from_int4(codes[0].words[step] >> (4 * reg));
      else if constexpr (kMxfp4)
        a[reg] = from_e2m1(codes[0].words[step] >> (4 * reg));
      else
        a[reg] = from_e4m3(codes[step / 2].words[step % 2 * 2 + reg / 2] << (8 - reg % 2 * 8));
    }
  }

  /// Scale of row lane / 4 (`half` 0) or lane / 4 + 8 (`half` 1) of tile `tile` in group `set` of the stage.
  MOESIM_DEVICE static float scale(const Vector16 (&records)[kScaleVectors], int set, int tile, int half) {
    if constexpr (kInt4) {
      const std::uint32_t pair = records[set].words[tile];
      return half == 0 ? low_bf16(pair) : high_bf16(pair);
    } else if constexpr (kMxfp4) {
      const std::uint32_t word = records[0].words[set * 2 + tile / 2] >> (16 * (tile % 2) + 8 * half);
      return float_from_bits((word & 0xFFu) << 23);
    } else {
      return float_from_bits(records[0].words[half]);
    }
  }
  /// Which vector of a record the lane reads.
  MOESIM_DEVICE static int record_vector() { return kInt4 || kMxfp4 ? lane_index() / 4 : 0; }

private:
  /// Two codes, in bits 0-3 and 16-19: 0x4300 | code is 128 + code, because a bfloat16 there counts by ones.
  MOESIM_DEVICE static std::uint32_t from_int4(std::uint32_t codes) {
    constexpr std::uint32_t kOne = 0x3F803F80u, kMinus136 = 0xC308C308u;
    return multiply_add_pairs((codes & 0x000F000Fu) | 0x43004300u, kOne, kMinus136);
  }
  /// Two codes, in bits 0-3 and 16-19: exponent and mantissa moved up to those of bfloat16, where 2^126 is missing.
  MOESIM_DEVICE static std::uint32_t from_e2m1(std::uint32_t codes) {
    constexpr std::uint32_t kTwoTo126 = 0x7E807E80u, kMinusZero = 0x80008000u;
    return multiply_add_pairs((codes & 0x00080008u) << 12 | (codes & 0x00070007u) << 6, kTwoTo126, kMinusZero);
  }
  /// Two codes, in bits 8-15 and 24-31: sign in place, exponent and mantissa moved down to those of bfloat16. What is
  /// missing is 2^120, the difference of the exponents' biases; it also makes subnormal codes right.
  MOESIM_DEVICE static std::uint32_t from_e4m3(std::uint32_t codes) {
    constexpr std::uint32_t kTwoTo120 = 0x7B807B80u, kMinusZero = 0x80008000u;
    return multiply_add_pairs((codes & 0x80008000u) | (codes >> 4 & 0x07F007F0u), kTwoTo120, kMinusZero);
  }
};

}  // namespace moesim::cuda
