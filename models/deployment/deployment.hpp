#pragma once
// A model placed on a cluster: weights per rank and the memory fit (domain B.6).

#include <string>
#include <vector>

#include "models/deployment/expert_storage.hpp"
#include "models/hardware/topology.hpp"
#include "models/layout/layout.hpp"
#include "models/llm/ops.hpp"
#include "models/llm/parameters.hpp"
#include "models/placement/placement.hpp"

namespace moesim {

struct MemoryLine {
  std::string name;     ///< "attention weights", "expert weights", "KV cache", "activations", "dispatch buffers", ...
  std::string group;    ///< weights | kv | activations | buffers | other
  Bytes bytes;          ///< of the fullest rank
  std::string formula;  ///< the arithmetic, with numbers
};

struct MemoryFit {
  std::vector<MemoryLine> lines;
  Bytes needed;    ///< sum of the lines
  Bytes capacity;  ///< device memory * memory fraction
  Bytes device;
  Bytes offloaded;  ///< routed experts of the fullest rank that lie outside the GPU; not among the lines
  bool fits = false;
  int stage = 0;                     ///< the fullest pipeline stage, whose rank this is
  long long kv_tokens_capacity = 0;  ///< tokens of KV cache a rank can hold beside everything else, in whole blocks
  std::string breaking_line;         ///< name of the largest line, "" when it fits
};

/// What one deployment asks of the fullest rank. The references must outlive it.
struct MemoryInputs {
  const Architecture& model;
  const Precision& precision;
  const Layout& layout;
  const Gpu& gpu;
  int slots_per_rank = 0;  ///< routed experts of a MoE layer on one rank; 0: experts / ep, rounded up
  double memory_fraction = 0.9;
  RankBatch batch;  ///< on one attention-DP rank, of one microbatch
  AllToAll all_to_all = AllToAll::automatic;
  /// [stages] when the formats of experts differ. Empty: all in precision.experts, which is the widest otherwise.
  std::vector<StoredExperts> experts{};
  /// Slots of a MoE layer that stay on the GPU while the others are fetched when tokens want them. -1: all.
  int resident_slots = -1;
  Bytes extra_weights{};  ///< of operations beside the model (models/llm/extra_ops.hpp), whole on every rank
  int gpus_per_node = 0;  ///< of the cluster; 0: as in the GPU's catalogue entry
};

/// Every line of one rank's memory, in the order weights, other, buffers, activations, KV. MTP modules are not held.
///
///   weights      by layout: vocabulary, attention heads, dense and shared width split by attention tp (the MLA latent
///                projections, norms and router whole); under attention dp all of them whole. Routed experts: slots x
///                layers.
///   other        CUDA context and libraries, NCCL, captured CUDA graphs (decode)
///   buffers      DeepEP's, or the tokens gathered by an all-gather; two offloaded experts, one that computes and one
///                that arrives [assumed]
///   activations  residual streams and the largest operation; rows of routed experts
///   KV           whole blocks of 16 tokens (MLA 64) per sequence: context + new tokens
/// Pipelines: a stage holds its own layers, the first the embedding, the last the LM head, and each the KV cache of all
/// microbatches. The fullest stage is returned. Experts apart: the pool of attention (0) holds everything but routed
/// experts and their rows, that of the experts (1) these alone; the fuller one is returned.
/// AllToAll::automatic means deepep_low_latency for decode and deepep_normal for prefill.
/// fits: needed <= gpu.memory * memory_fraction. Nothing is thrown for what does not fit.
MemoryFit fit_memory(const MemoryInputs& in);

/// Weights of one rank of stage 0, the first lines of fit_memory.
std::vector<MemoryLine> weight_lines(const MemoryInputs& in);

/// KV tokens that a cluster holds in total beside one copy of the weights spread evenly over its GPUs:
/// (gpus (device fraction - other) - weights) / KV bytes per token, rounded down; 0 when the weights do not fit.
/// A closed form without replication or paging, as capacity estimates quote it.
long long kv_tokens_in_cluster(const Architecture& model, const Precision& precision, int gpus, Bytes device,
                               double fraction, Bytes other_per_gpu);

/// DeepEP low-latency buffer, exact (B.6 line 6). V3, 128 tokens, 256 experts: 1,908,410,368 B before alignment.
Bytes deepep_low_latency_buffer(int hidden, int max_tokens_per_rank, int experts);

/// Three ways out of a misfit with their numbers, each verified by fit_memory: memory_fraction up to 0.95, fewer weight
/// bits, more GPUs, a larger GPU, an fp8 KV cache, a smaller batch, a shorter context; what helps alone before what
/// helps together, mildest first. "precision.weights and precision.experts fp8_block: 41.2 GiB of 72 GiB per GPU".
/// Empty when `fit` fits; fewer than three only when all of them together give no more.
std::vector<std::string> memory_remedies(const MemoryInputs& in, const MemoryFit& fit);

}  // namespace moesim
