#include "models/kernels/published/fastest_time.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace moesim {
namespace {

constexpr double kLeastOfFlops = 0.8, kLeastOfBytes = 0.5;

/// The fastest units that could run it: kernels of narrow weights or a narrow KV cache may round the other operand,
/// too, below 8 bits to four, at twice the fp8 rate.
FlopsPerSecond fastest_rate(const Gpu& gpu, NumberFormat format) {
  const double bits = bits_per_element(format);
  const FlopsPerSecond narrow = std::max(gpu.bf16, gpu.fp8);
  return bits >= 16 ? gpu.bf16 : bits >= 8 ? narrow : 2 * narrow;
}

/// A GPU of these peaks, faster by what is not believed of them.
Gpu peaks_of(const Gpu& gpu, NumberFormat format) {
  Gpu peak;
  peak.compute_efficiency = peak.memory_efficiency = 1;
  peak.bf16 = peak.fp8 = fastest_rate(gpu, format) / kLeastOfFlops;
  peak.memory_bandwidth = gpu.memory_bandwidth / kLeastOfBytes;
  return peak;
}

}  // namespace

FastestTime::FastestTime(const Gpu& gpu, const KernelTable& table) : ceiling_{peaks_of(gpu, table.format), table} {}

double least_microseconds_of_collective(const Gpu& gpu, KernelOperation operation, int ranks, double size) {
  if (layout_of(operation).size != "bytes" || gpu.nvlink <= BytesPerSecond{0}) return 0;
  return kLeastOfBytes * (ranks - 1.) / ranks * (Bytes{size} / gpu.nvlink).value() * 1e6;
}

double least_microseconds(const Gpu& gpu, const TableKey& key, const MeasuredPoint& point) {
  if (is_collective(key.operation))
    return least_microseconds_of_collective(gpu, key.operation, key.dimensions.front(), point.size);
  return FastestTime{gpu, {key.operation, key.kernel, key.format, key.dimensions, {}}}.microseconds(point.at,
                                                                                                    point.size);
}

bool is_impossible(const Gpu& gpu, const TableKey& key, const MeasuredPoint& point) {
  return point.skew == 0 && point.microseconds < least_microseconds(gpu, key, point);
}

std::string at_least(double microseconds, const Gpu& gpu, KernelOperation operation, NumberFormat format) {
  return fmt::format("at least {:.4g}: the peaks of {} allow no less for {} in {}", microseconds, gpu.name,
                     name_of(operation), name_of(format));
}

}  // namespace moesim
