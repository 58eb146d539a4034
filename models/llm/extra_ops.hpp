#pragma once
// Work beside the published model: hypernetworks, adapters, LoRA.

#include <span>
#include <string>

#include "models/llm/ops.hpp"

namespace moesim {

/// As a user states it for the whole model, all layers together.
struct ExtraOp {
  std::string name;
  Flops flops_per_token;
  Bytes bytes_per_token;  ///< activations through HBM
  Bytes weights;          ///< held by every rank, and read once per step
};

/// What it costs in a step of `tokens` tokens on one rank: FLOPs and bytes per token, and its weights once.
/// Without tokens it does not run. Timed as one kernel, at the bf16 rate of full tiles or at the memory bandwidth.
Op extra_op(const ExtraOp& extra, double tokens);

/// Weight bytes of all of them.
Bytes extra_weight_bytes(std::span<const ExtraOp> extras);

}  // namespace moesim
