#pragma once
// What no kernel can beat on a GPU, which tells damaged and mislabelled rows of measured tables.

#include <string>

#include "models/hardware/gpu.hpp"
#include "models/kernels/published/kernel_ceiling.hpp"
#include "models/kernels/published/measured_points.hpp"

namespace moesim {

/// Microseconds that balanced points need at the data sheet's peaks, without launches; of each the smallest share
/// that is believed [assumed]: 0.8 of its FLOPs' time, since clocks and data sheets are round numbers, and 0.5 of the
/// time of its bytes through HBM, since part of them may lie in a cache. A wrong unit or shape leaves less.
class FastestTime {
public:
  /// Of the table's kernel; its curves are not read. Throws std::invalid_argument for a collective.
  FastestTime(const Gpu& gpu, const KernelTable& table);

  double microseconds(std::span<const double> at, double size) const {
    return ceiling_.microseconds(at, size) - ceiling_.floor();
  }

private:
  KernelCeiling ceiling_;
};

/// Of one point, also of a collective.
double least_microseconds(const Gpu& gpu, const TableKey& key, const MeasuredPoint& point);

/// Of a collective inside a node that counts bytes: half of what one rank's share of the others' data takes over
/// NVLink. Zero for others, and for a GPU without NVLink.
double least_microseconds_of_collective(const Gpu& gpu, KernelOperation operation, int ranks, double size);

/// Skewed points are never judged: how many experts had rows is not stored.
bool is_impossible(const Gpu& gpu, const TableKey& key, const MeasuredPoint& point);

/// "at least 444.5: the peaks of h100-sxm allow no less for gemm in bf16".
std::string at_least(double microseconds, const Gpu& gpu, KernelOperation operation, NumberFormat format);

}  // namespace moesim
