#pragma once
// How far a kernel's time goes by tiles, from a part of the skewed rows.

#include <vector>

#include "models/hardware/gpu.hpp"
#include "models/kernels/published/expert_fit.hpp"

namespace moesim {

/// A table without law, and its points.
struct TableOfKernel {
  const FittedExperts* fitted = nullptr;
  const SplitPoints* points = nullptr;
};

/// One law for all tables of a kernel: the tile and shares that tell `skewed_fitted` with the least mean error of the
/// logarithm, an error above 0.5 counting as 0.5. None when they are few. Uses batches as judge_experts does.
TileLaw fit_tiles(const std::vector<TableOfKernel>& tables, const Gpu& gpu, PowerLawBatches& batches);

}  // namespace moesim
