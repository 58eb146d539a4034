#pragma once
// Routed experts that are not all stored alike: in formats of their own, or outside the GPU.

#include <vector>

#include "models/llm/expert_formats.hpp"
#include "models/placement/placement.hpp"
#include "models/routing/routing.hpp"

namespace moesim {

/// The slots that stay on the GPU when experts are offloaded: of every rank and layer the `per_rank` with the largest
/// mean load (replicas share their expert's, and of equal ones the first stay). [layers * slots]
std::vector<bool> hottest_slots(const Placement& placement, const ExpertPopularity& popularity, int per_rank);

/// Bytes of the fullest rank, over its MoE layers. The fullest rank of one need not be that of the other.
struct StoredExperts {
  Bytes on_gpu, elsewhere;
  Bytes largest;  ///< one expert of one layer
};

/// MoE layers that a rank holds: all, or those of a pipeline stage.
struct MoeLayers {
  int first, end;
};

/// resident [all layers * slots], empty: all. `tp` splits the width of an expert.
StoredExperts stored_experts(const Architecture& model, const ExpertFormats& formats, const Placement& placement,
                             const std::vector<bool>& resident, int tp, MoeLayers layers);

}  // namespace moesim
