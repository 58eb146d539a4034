#pragma once
// The grouped expert FFN in closed form, prepared for one shape.

#include <array>
#include <vector>

#include "models/kernels/kernel_times.hpp"
#include "models/kernels/tile_waves.hpp"

namespace moesim {

/// One grouped GEMM over the slots of a rank: [rows, k] x [k, columns] per slot.
class GroupedGemm {
public:
  /// Tile counts of one call, one entry per kTileRowsLog2.
  using RowTiles = std::array<std::int32_t, kTileRowsLog2.size()>;

  GroupedGemm(const TileWaves& waves, double columns, double k);

  /// The longer of `memory` and the tensor-core time with the row tile that finishes first.
  Seconds time(const RowTiles& tiles, Seconds memory) const;

private:
  static constexpr std::int32_t kTabulated = 512;  // row tiles; two GEMMs together 32 KiB, about one L1 cache

  TileWaves waves_;
  double columns_, k_;
  std::vector<double> seconds_;  ///< [row tile size][row tiles]
};

/// Three kernels (domain B.5, rows 11 to 13): GEMM1, SwiGLU with quantisation, GEMM2. Weights of a slot with rows are
/// read once per GEMM; activations of every row pass through HBM between the kernels.
class ExpertRoofline final : public ExpertTimes {
public:
  /// memory: sustained HBM bandwidth (eta_b peak).
  /// Throws std::invalid_argument when a width is not positive.
  ExpertRoofline(const ExpertShape& shape, const TileWaves& waves, BytesPerSecond memory, Seconds launch);

  Seconds operator()(std::span<const std::int32_t> rows_per_slot, std::optional<double> tokens = {}) const override;

private:
  GroupedGemm gate_up_, down_;
  Seconds launches_;
  Seconds gate_up_weights_, down_weights_;                       ///< reading one slot's matrices
  Seconds gate_up_activations_, activation_, down_activations_;  ///< per row
};

}  // namespace moesim
