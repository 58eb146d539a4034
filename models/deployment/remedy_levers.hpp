#pragma once
// Changes to a deployment that may make it fit. Each lever gives its options from the mildest on.

#include <string>
#include <vector>

#include "models/deployment/deployment.hpp"

namespace moesim {

/// A deployment that differs from the one that does not fit, and how to ask for it.
struct Variant {
  Precision precision;
  Layout layout;
  Gpu gpu;
  int slots_per_rank;
  RankBatch batch;
  double memory_fraction;
  std::vector<std::string> changes;
};

/// The deployment that does not fit, and the GPUs one could take instead, smallest memory first.
struct Misfit {
  const MemoryInputs& in;
  std::vector<Gpu> catalogue;
};

MemoryFit fit_of(const MemoryInputs& in, const Variant& v);

/// memory_fraction as far up as needed, in hundredths and at most to 0.95; only where that is enough.
std::vector<Variant> larger_share(const Misfit& misfit, const Variant& v);

/// fp8 (where the GPU has it), then int4, for attention, FFN and experts; block formats only where tp leaves whole
/// blocks.
std::vector<Variant> fewer_bits(const Misfit& misfit, const Variant& v);

/// 2 to 64 times as many GPUs in a layout of the same kind, MoE models under tensor parallelism also with data parallel
/// attention and whole experts: each GPU with as much work as before, then all with as much together.
std::vector<Variant> more_gpus(const Misfit& misfit, const Variant& v);

/// GPUs of the catalogue with more memory, in nodes of as many GPUs as now.
std::vector<Variant> larger_gpu(const Misfit& misfit, const Variant& v);

/// fp8 instead of bf16, where the GPU has it.
std::vector<Variant> smaller_cache(const Misfit& misfit, const Variant& v);

/// The most sequences that fit; of a single prompt the longest chunk. None when v fits already.
std::vector<Variant> smaller_batch(const Misfit& misfit, const Variant& v);

/// The longest context that fits. None when v fits already.
std::vector<Variant> shorter_context(const Misfit& misfit, const Variant& v);

}  // namespace moesim
