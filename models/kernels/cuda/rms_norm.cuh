#pragma once
// RMSNorm with the residual add before it: s = x + residual, out = s / sqrt(mean(s^2) + epsilon) * weight. One block
// per token; the row stays in registers between its two uses.

#include "models/kernels/cuda/fault.hpp"
#include "models/kernels/cuda/primitives.cuh"
#include "models/kernels/cuda/rms_norm.hpp"

namespace moesim::cuda {

constexpr int kRmsNormThreads = 256;
constexpr int kRmsNormSharedBytes = 2 * kRmsNormThreads / kWarp * 4;

/// The sum over all threads of the block, in all of them; `area`: a number for each warp, for two sums in turn.
template <Fault kFault>
MOESIM_DEVICE float sum_of_block(float value, std::uint32_t area) {
  for (int mask = kWarp / 2; mask > 0; mask /= 2) value += shuffle_xor(value, mask);
  if (lane_index() == 0)
    shared_store(area + static_cast<std::uint32_t>(warp_index()) * 4, static_cast<int>(bits_of_float(value)));
  if (kFault != Fault::barrier) barrier();
  float sum = 0;
  MOESIM_UNROLL
  for (std::uint32_t warp = 0; warp < kRmsNormThreads / kWarp; ++warp)
    sum += float_from_bits(static_cast<std::uint32_t>(shared_load(area + warp * 4)));
  return sum;
}

/// Adds `other` to `row` in fp32 and rounds to bf16: the sum is what the next layer sees, and what is normalised.
MOESIM_DEVICE void add_rounded(Vector16& row, const Vector16& other) {
  MOESIM_UNROLL
  for (int i = 0; i < 4; ++i)
    row.words[i] = pack_bf16(low_bf16(row.words[i]) + low_bf16(other.words[i]),
                             high_bf16(row.words[i]) + high_bf16(other.words[i]));
}

/// Any number of blocks of kRmsNormThreads threads with kRmsNormSharedBytes; width divides by 8 and is at most
/// 2048 * kVectors.
template <int kVectors, Fault kFault = Fault::none>
MOESIM_KERNEL MOESIM_LAUNCH_BOUNDS(kRmsNormThreads, 2) rms_norm(RmsNorm norm) {
  std::uint32_t parity = 0;
  for (int token = block_index(); token < norm.tokens; token += block_count()) {
    const std::size_t row = static_cast<std::size_t>(token) * static_cast<std::size_t>(norm.width);
    Vector16 s[kVectors];
    float squares = 0;
    MOESIM_UNROLL
    for (int i = 0; i < kVectors; ++i) {
      const int column = (i * kRmsNormThreads + thread_index()) * 8;
      if (column >= norm.width) continue;
      s[i] = global_load(reinterpret_cast<const Vector16*>(norm.x + row + column));
      if (norm.residual) {
        auto* residual = reinterpret_cast<Vector16*>(norm.residual + row + column);
        add_rounded(s[i], global_load(residual));
        global_store(residual, s[i]);
      }
      MOESIM_UNROLL
      for (int j = 0; j < 4; ++j) {
        const float low = low_bf16(s[i].words[j]), high = high_bf16(s[i].words[j]);
        squares += low * low + high * high;
      }
    }
    const std::uint32_t area = shared_base() + parity * (kRmsNormSharedBytes / 2);
    const float mean = sum_of_block<kFault>(squares, area) / static_cast<float>(norm.width);
    const float scale = fast_inverse_root(mean + norm.epsilon);
    parity ^= 1;  // so that one barrier a token does
    MOESIM_UNROLL
    for (int i = 0; i < kVectors; ++i) {
      const int column = (i * kRmsNormThreads + thread_index()) * 8;
      if (column >= norm.width && kFault != Fault::row_guard) continue;
      const Vector16 weight = global_load(reinterpret_cast<const Vector16*>(norm.weight + column));
      Vector16 out;
      MOESIM_UNROLL
      for (int j = 0; j < 4; ++j)
        out.words[j] = pack_bf16(low_bf16(s[i].words[j]) * scale * low_bf16(weight.words[j]),
                                 high_bf16(s[i].words[j]) * scale * high_bf16(weight.words[j]));
      global_store(reinterpret_cast<Vector16*>(norm.out + row + column), out);
    }
  }
}

}  // namespace moesim::cuda
