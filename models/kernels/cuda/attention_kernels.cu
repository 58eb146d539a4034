// Decode attention, compiled.

#include <algorithm>

#include "models/kernels/cuda/attention_kernels.hpp"
#include "models/kernels/cuda/combine_splits.cuh"
#include "models/kernels/cuda/decode_attention.cuh"
#include "models/kernels/cuda/launch_kernel.cuh"

namespace moesim::cuda {
namespace {

constexpr int kMostBlocks = 1024;  // of combine_splits

template <class Shape>
AttentionVariant variant(const char* name) {
  return {name,
          Shape::kKeyDims,
          Shape::kValueDims,
          Shape::kLatent,
          Shape::kRows,
          {reinterpret_cast<const void*>(&decode_attention<Shape>), Shape::kThreads, Shape::kSharedBytes}};
}

}  // namespace

std::span<const AttentionVariant> attention_variants() {
  static const AttentionVariant all[] = {
      variant<Gqa128>("gqa_128"), variant<Gqa128Shallow>("gqa_128_shallow"), variant<Gqa64>("gqa_64"),
      variant<Mla64>("mla_64"),   variant<Mla64Shallow>("mla_64_shallow"),   variant<Mla16>("mla_16"),
  };
  return all;
}

int block_heads(const AttentionVariant& variant, int heads, int kv_heads) {
  const int group = heads / kv_heads;
  int most = std::min(group, variant.most_heads);
  while (group % most != 0) --most;
  return most;
}

cudaError_t launch_combine_splits(const DecodeAttention& attention, int sequences, int value_dims, Bf16* out,
                                  cudaStream_t stream) {
  constexpr int kPerBlock = kCombineSplitsThreads / kWarp;
  const int blocks = std::clamp((sequences * attention.heads + kPerBlock - 1) / kPerBlock, 1, kMostBlocks);
  return launch_kernel(combine_splits, {blocks, kCombineSplitsThreads}, stream, attention.partial, attention.weight,
                       attention.splits, sequences, attention.heads, value_dims, out);
}

}  // namespace moesim::cuda
