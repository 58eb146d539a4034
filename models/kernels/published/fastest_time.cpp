#include "models/kernels/published/fastest_time.hpp"

#include <algorithm>

#include "models/kernels/published/kernel_ceiling.hpp"

namespace moesim {
namespace {

constexpr double kLeastOfFlops = 0.8, kLeastOfBytes = 0.5;
constexpr double kNoBound = 1e30;  ///< FLOP/s, bytes/s

/// The fastest units that could run it: kernels of narrow weights or a narrow KV cache may round the other operand,
/// too, below 8 bits to four, at twice the fp8 rate.
FlopsPerSecond fastest_rate(const Gpu& gpu, NumberFormat format) {
  const double bits = bits_per_element(format);
  const FlopsPerSecond narrow = std::max(gpu.bf16, gpu.fp8);
  return bits >= 16 ? gpu.bf16 : bits >= 8 ? narrow : 2 * narrow;
}

double work_microseconds(const Gpu& gpu, FlopsPerSecond rate, BytesPerSecond bandwidth, const TableKey& key,
                         const MeasuredPoint& point) {
  Gpu peak = gpu;
  peak.compute_efficiency = peak.memory_efficiency = 1;
  peak.bf16 = peak.fp8 = rate;
  peak.memory_bandwidth = bandwidth;
  const KernelCeiling ceiling{peak, {key.operation, key.kernel, key.format, key.dimensions, {}}};
  return ceiling.microseconds(point.at, point.size) - ceiling.floor();
}

}  // namespace

double least_microseconds(const Gpu& gpu, const TableKey& key, const MeasuredPoint& point) {
  const FlopsPerSecond rate = fastest_rate(gpu, key.format);
  return std::max(kLeastOfFlops * work_microseconds(gpu, rate, BytesPerSecond{kNoBound}, key, point),
                  kLeastOfBytes * work_microseconds(gpu, FlopsPerSecond{kNoBound}, gpu.memory_bandwidth, key, point));
}

bool is_impossible(const Gpu& gpu, const TableKey& key, const MeasuredPoint& point) {
  return point.skew == 0 && point.microseconds < least_microseconds(gpu, key, point);
}

}  // namespace moesim
