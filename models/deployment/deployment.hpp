#pragma once
// A model placed on a cluster: weights per rank and the memory fit (domain B.6).

#include <string>
#include <vector>

#include "models/hardware/topology.hpp"
#include "models/layout/layout.hpp"
#include "models/llm/parameters.hpp"
#include "models/llm/ops.hpp"
#include "models/placement/placement.hpp"

namespace moesim {

struct MemoryLine {
  std::string name;    ///< "attention weights", "expert weights", "KV cache", "activations", "dispatch buffers", ...
  std::string group;   ///< weights | kv | activations | buffers | other
  Bytes bytes;         ///< of the fullest rank
  std::string formula; ///< the arithmetic, with numbers
};

struct MemoryFit {
  std::vector<MemoryLine> lines;
  Bytes needed;        ///< sum of the lines
  Bytes capacity;      ///< device memory * memory fraction
  Bytes device;
  bool fits = false;
  long long kv_tokens_capacity = 0;  ///< tokens of KV cache a rank can hold beside everything else
  std::string breaking_line;         ///< name of the line that crosses the limit, "" when it fits
};

struct MemoryInputs {
  const Architecture& model;
  const Precision& precision;
  const Layout& layout;
  const Gpu& gpu;
  int slots_per_rank = 0;
  double memory_fraction = 0.9;
  RankBatch batch;                 ///< on one attention-DP rank
  AllToAll all_to_all = AllToAll::automatic;
};

MemoryFit fit_memory(const MemoryInputs& in);

/// DeepEP low-latency buffer, exact (B.6 line 6). V3, 128 tokens, 256 experts: 1,908,410,368 B before alignment.
Bytes deepep_low_latency_buffer(int hidden, int max_tokens_per_rank, int experts);

/// Three ways out with their numbers ("fp8 experts need 21.3 GiB less", "batch 96 fits", "16 GPUs hold 40.1 GiB each").
std::vector<std::string> memory_remedies(const MemoryInputs& in, const MemoryFit& fit);

}  // namespace moesim
