#pragma once
// The operands of the decode GEMM on their way from memory to the lanes of one warp: a ring of stages in shared memory,
// each 64 deep in k, filled by cp.async ahead of the multiplication and across the ends of panels. Every lane copies
// exactly the vectors it will read, so that no lane waits for another.

#include "models/kernels/cuda/fault.hpp"
#include "models/kernels/cuda/tile_map.cuh"
#include "models/kernels/cuda/weight_codes.cuh"

namespace moesim::cuda {

/// Up to `tokens` rows of one expert against one panel of 64 weight rows, k shared out to four warps.
template <WeightFormat format, int tokens, int stages, int blocks_per_sm>
struct DecodeShape {
  using Codes = WeightCodes<format>;
  static constexpr WeightFormat kFormat = format;
  static constexpr int kTokens = tokens, kTokenTiles = tokens / 8, kStages = stages, kBlocksPerSm = blocks_per_sm;
  static constexpr int kWarps = kPanelTiles, kThreads = kWarps * kWarp;
  // Vectors of one lane in a stage: weights, then activations, then scales.
  static constexpr int kWeightVectors = kPanelTiles * Codes::kVectors, kTokenVectors = 2 * kTokenTiles;
  static constexpr int kVectors = kWeightVectors + kTokenVectors + Codes::kScaleVectors;
  static constexpr std::uint32_t kVectorBytes = kWarp * sizeof(Vector16);  ///< of one vector of all lanes
  static constexpr int kStageBytes = kVectors * static_cast<int>(kVectorBytes);
  static constexpr int kRingBytes = kWarps * stages * kStageBytes;
  static constexpr int kSumBytes = kWarps * kPanelTiles * static_cast<int>(kVectorBytes);  ///< of 8 tokens
  static constexpr int kSharedBytes = kRingBytes + 2 * kSumBytes;
  static_assert(tokens % 8 == 0 && stages >= 2);
};

template <class Shape, Fault kFault>
class DecodeRing {
  using Codes = typename Shape::Codes;

  static constexpr std::size_t kStageVectors = Shape::kWeightVectors * kWarp;
  static constexpr std::size_t kRecordVectors = Codes::kRecordBytes / sizeof(Vector16);

public:
  /// Fills all but one stage.
  MOESIM_DEVICE explicit DecodeRing(const GroupedGemm& gemm)
      : gemm_{gemm},
        steps_{gemm.k / kPanelDepth},
        items_{warp_index() < steps_ ? global_load(gemm.map.tiles) * (gemm.n / kPanelRows) : 0},
        item_{block_index()},
        slots_{shared_base() + static_cast<std::uint32_t>(warp_index() * Shape::kStages * Shape::kStageBytes +
                                                          lane_index() * static_cast<int>(sizeof(Vector16)))} {
    aim();
    for (int stage = 0; stage < Shape::kStages - 1; ++stage) fill();
  }

  /// Waits for the oldest stage and refills the one before it; returns where the lane's first vector of the stage is.
  MOESIM_DEVICE std::uint32_t next() {
    wait_copies<Shape::kStages - 2 + (kFault == Fault::wait_depth ? 1 : 0)>();
    fill();
    const std::uint32_t stage = slots_ + static_cast<std::uint32_t>(use_stage_) * Shape::kStageBytes;
    use_stage_ = use_stage_ + 1 == Shape::kStages ? 0 : use_stage_ + 1;
    return stage;
  }

private:
  /// Points the sources at the warp's first step of the current item.
  MOESIM_DEVICE void aim() {
    step_ = warp_index();
    if (item_ >= items_) return;
    const TileAt tile = tile_at(gemm_.map, item_, gemm_.n / kPanelRows, Shape::kTokens);
    const auto steps = static_cast<std::size_t>(steps_), panels = static_cast<std::size_t>(gemm_.n / kPanelRows);
    const auto panel = static_cast<std::size_t>(tile.column);
    const auto records = static_cast<std::size_t>(gemm_.k / Codes::kRecordDepth);
    const std::size_t weights = panels * steps * kStageVectors, scales = panels * records * kRecordVectors;
    const auto* expert =
        static_cast<const Vector16*>(gemm_.b) + static_cast<std::size_t>(tile.expert) * (weights + scales);
    weights_ = expert + panel * steps * kStageVectors + lane_index();
    scales_ = expert + weights + panel * records * kRecordVectors + Codes::record_vector();
    rows_left_ = tile.rows - lane_index() / 4;
    MOESIM_UNROLL
    for (int i = 0; i < Shape::kTokenTiles; ++i) {
      const bool wanted = i * 8 < rows_left_ || kFault == Fault::zero_fill;
      const int from = tile.row + (wanted ? lane_index() / 4 + i * 8 : 0);
      a_[i] = gemm_.a +
              static_cast<std::size_t>(gemm_.a_row ? global_load(gemm_.a_row + from) : from) *
                  static_cast<std::size_t>(gemm_.k) +
              lane_index() % 4 * 8;
    }
  }

  /// Issues the copies of one stage, or an empty group when there is no work left.
  MOESIM_DEVICE void fill() {
    if (item_ < items_) {
      std::uint32_t target = slots_ + static_cast<std::uint32_t>(fill_stage_) * Shape::kStageBytes;
      const auto step = static_cast<std::size_t>(step_);
      MOESIM_UNROLL
      for (std::size_t i = 0; i < Shape::kWeightVectors; ++i, target += Shape::kVectorBytes)
        copy_async16(target, weights_ + (step * Shape::kWeightVectors + i) * kWarp, true);
      MOESIM_UNROLL
      for (int i = 0; i < Shape::kTokenVectors; ++i, target += Shape::kVectorBytes)
        copy_async16(target, a_[i / 2] + step_ * kPanelDepth + i % 2 * 32,
                     i / 2 * 8 < rows_left_ || kFault == Fault::zero_fill);
      int record = step_ * kPanelDepth / Codes::kRecordDepth;
      if (kFault == Fault::scale_group && record > 0) --record;
      MOESIM_UNROLL
      for (int i = 0; i < Codes::kScaleVectors; ++i, target += Shape::kVectorBytes)
        copy_async16(target, scales_ + static_cast<std::size_t>(record + i) * kRecordVectors, true);
      step_ += Shape::kWarps;
      if (step_ >= steps_) {
        item_ += block_count();
        aim();
      }
    }
    commit_copies();
    fill_stage_ = fill_stage_ + 1 == Shape::kStages ? 0 : fill_stage_ + 1;
  }

  const GroupedGemm& gemm_;
  const int steps_;  ///< stages of a panel; the warp takes every fourth
  const int items_;
  int item_;
  const std::uint32_t slots_;  ///< of the lane in stage 0
  const Vector16* weights_ = nullptr;
  const Vector16* scales_ = nullptr;
  const Bf16* a_[Shape::kTokenTiles] = {};
  int rows_left_ = 0, step_ = 0;
  int fill_stage_ = 0, use_stage_ = 0;
};

}  // namespace moesim::cuda
