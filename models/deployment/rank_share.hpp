#pragma once
// What one rank of a layout gets: the arithmetic that weights, activations and buffers share.

#include "models/deployment/deployment.hpp"

namespace moesim {

/// ceil(count / parts)
constexpr std::int64_t rounded_up(std::int64_t count, std::int64_t parts) {
  return (count + parts - 1) / parts;
}

/// Weights of one rank of a stage. in.model : of the stage (model_of_stage); in.experts : its own alone.
std::vector<MemoryLine> weight_lines_of_stage(const MemoryInputs& in, int stage);

/// Replicated when tp exceeds the KV heads.
int kv_heads_of_rank(const Architecture& model, int tp);

/// Routed expert slots of a MoE layer on the fullest rank.
int slots_of_rank(const MemoryInputs& in);

/// Those of them that stay on the GPU.
int resident_slots_of_rank(const MemoryInputs& in);

/// Tokens that one rank sends into a dispatch: an attention TP group spreads its tokens.
double dispatched_tokens(const MemoryInputs& in);

/// `automatic` resolved as fit_memory documents.
AllToAll all_to_all_of(const MemoryInputs& in);

/// Rows of the routed experts' GEMMs that a rank must have room for in one layer.
///   low latency   slots x ranks x tokens: the kernel writes into fixed places
///   else          at most every token once per slot it can hit, and at most twice the mean of k tokens per token: one
///   task's
///                 loads put up to 2.14 of the mean on a rank under linear placement (domain D.2, OLMoE) [assumed
///                 bound]
double expert_rows(const MemoryInputs& in);

/// DeepEP's buffer or the gathered tokens; empty when the layout neither dispatches nor gathers.
std::vector<MemoryLine> buffer_lines(const MemoryInputs& in);

/// Residual streams with the largest operation, and the routed experts' rows.
std::vector<MemoryLine> activation_lines(const MemoryInputs& in);

/// CUDA context and libraries, NCCL, CUDA graphs.
std::vector<MemoryLine> other_lines(const MemoryInputs& in);

/// Tokens of a KV block: 16 (vLLM's default), 64 for MLA (FlashMLA).
int kv_block_tokens(const Architecture& model);

}  // namespace moesim
