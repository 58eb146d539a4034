#pragma once
// What a GPU's own ceilings say of a table's kernel: the carrier between its curves and beyond them.

#include <span>

#include "models/hardware/gpu.hpp"
#include "models/kernels/published/kernel_model.hpp"

namespace moesim {

/// launches + max(FLOPs / rate, bytes / bandwidth), without tiles: cheap, smooth, and only ever used as a ratio of two
/// places of one table, or of two GPUs.
class KernelCeiling {
public:
  /// Throws std::invalid_argument for a collective.
  KernelCeiling(const Gpu& gpu, const KernelTable& table);

  /// Microseconds at a place of the table's axes and a size, both above zero.
  double microseconds(std::span<const double> at, double size) const;
  /// The part of it that no work adds: launches and synchronisation, in microseconds.
  double floor() const { return floor_; }
  /// Microseconds that reading `bytes` takes at the nominal bandwidth.
  double nominal_read(Bytes bytes) const { return (bytes / peak_bandwidth_).value() * 1e6; }

private:
  struct Work {
    Flops flops;
    Bytes bytes;
  };
  Work work(std::span<const double> at, double size) const;

  KernelOperation operation_;
  double dimensions_[4]{};
  double weight_bytes_, vector_bytes_;  ///< of one element
  double flops_per_us_, bytes_per_us_, floor_;
  BytesPerSecond peak_bandwidth_;
};

}  // namespace moesim
