#include "models/kernels/published/kernel_ceiling.hpp"

#include <algorithm>
#include <stdexcept>

namespace moesim {
namespace {

/// Microseconds of a kernel that has nothing to do. Dense products: the catalogue's launch. Attention cores and whole
/// MoE blocks are several kernels: 5 us and 25 us are the least that the published tables of an H100 hold.
double floor_of(KernelOperation operation, const Gpu& gpu) {
  const double launch = gpu.kernel_launch.value() * 1e6;
  switch (operation) {
    case KernelOperation::experts:
      return std::max(25.0, 3 * launch);
    case KernelOperation::expert_gemms:
      return 3 * launch;
    case KernelOperation::prefill_attention:
    case KernelOperation::decode_attention:
    case KernelOperation::prefill_mla:
    case KernelOperation::decode_mla:
      return std::max(5.0, launch);
    default:
      return launch;
  }
}

bool is_attention(KernelOperation operation) {
  return floor_of(operation, Gpu{}) == 5.0;
}

FlopsPerSecond rate_of(const KernelTable& table, const Gpu& gpu) {
  const bool narrow = !is_attention(table.operation) && bits_per_vector_element(activation_format(table.format)) < 16;
  return gpu.compute_efficiency * (narrow ? std::max(gpu.bf16, gpu.fp8) : gpu.bf16);
}

// MLA of DeepSeek-V2 and V3 and Kimi K2, for which alone there are tables: latent 512 + rope 64; heads of 128 + 64 for
// queries and keys, 128 for values.
constexpr double kLatent = 512, kRope = 64, kNope = 128, kValue = 128;

double causal_pairs(double tokens) {
  return tokens * (tokens + 1) / 2;
}

}  // namespace

KernelCeiling::KernelCeiling(const Gpu& gpu, const KernelTable& table)
    : operation_(table.operation),
      weight_bytes_(bits_per_element(table.format) / 8),
      vector_bytes_(
          bits_per_vector_element(is_attention(table.operation) ? table.format : activation_format(table.format)) / 8),
      flops_per_us_(rate_of(table, gpu).value() * 1e-6),
      bytes_per_us_(gpu.memory_efficiency * gpu.memory_bandwidth.value() * 1e-6),
      floor_(floor_of(table.operation, gpu)),
      peak_bandwidth_(gpu.memory_bandwidth) {
  if (is_collective(operation_)) throw std::invalid_argument{"no ceiling of one GPU says what a collective takes"};
  std::copy(table.dimensions.begin(), table.dimensions.end(), dimensions_);
}

KernelCeiling::Work KernelCeiling::work(std::span<const double> at, double size) const {
  switch (operation_) {
    case KernelOperation::experts:
    case KernelOperation::expert_gemms: {
      const double h = dimensions_[0], f = dimensions_[1], active = std::min(at[0], size);
      return {Flops{6 * size * h * f},
              Bytes{active * 3 * h * f * weight_bytes_ + size * ((h + f) * vector_bytes_ + 2 * h + 6 * f)}};
    }
    case KernelOperation::gemm:
      return {Flops{2 * size * at[0] * at[1]},
              Bytes{at[0] * at[1] * weight_bytes_ + size * (at[1] * vector_bytes_ + 2 * at[0])}};
    case KernelOperation::prefill_attention:
      return {Flops{4 * dimensions_[0] * size * causal_pairs(at[1])},
              Bytes{size * at[1] * dimensions_[0] * 4 * (1 + 1 / at[0])}};
    case KernelOperation::decode_attention:
      return {Flops{4 * dimensions_[0] * size * at[0] * at[1]},
              Bytes{size * dimensions_[0] * (2 * at[1] * vector_bytes_ + 4 * at[0])}};
    case KernelOperation::prefill_mla:
      return {Flops{2 * (kNope + kRope + kValue) * size * at[0] * causal_pairs(at[1])},
              Bytes{4 * size * at[0] * at[1] * (kNope + kRope + kValue)}};
    case KernelOperation::decode_mla:
      return {Flops{2 * (2 * kLatent + kRope) * at[0] * size * at[1]},
              Bytes{size * ((kLatent + kRope) * at[1] * vector_bytes_ + 2 * at[0] * (2 * kLatent + kRope))}};
    case KernelOperation::mla_in:
    case KernelOperation::mla_out:
      return {Flops{2 * size * at[0] * kLatent * kNope},
              Bytes{at[0] * kLatent * kNope * weight_bytes_ + 2 * size * at[0] * (kLatent + kNope)}};
    default:
      return {};  // the constructor takes no collective
  }
}

double KernelCeiling::microseconds(std::span<const double> at, double size) const {
  const Work of = work(at, size);
  return floor_ + std::max(of.flops.value() / flops_per_us_, of.bytes.value() / bytes_per_us_);
}

}  // namespace moesim
