#pragma once
// Decode attention as host functions, for programs that verify and time it. Nothing here waits.

#include <cstdint>
#include <span>

#include "models/kernels/cuda/decode_attention.hpp"
#include "models/kernels/cuda/persistent_kernel.hpp"

namespace moesim::cuda {

/// A decode attention that is compiled.
struct AttentionVariant {
  const char* name;
  int key_dims, value_dims;
  bool latent;
  int most_heads;  ///< of one block
  PersistentKernel kernel;
};

/// Grouped-query attention over 128 and 64 dimensions, latent attention over 576 and 512.
std::span<const AttentionVariant> attention_variants();

/// Heads of one block: all that share a kv head, or as many of them as fit and divide them.
int block_heads(const AttentionVariant& variant, int heads, int kv_heads);

/// partial, weight -> out [sequences, heads, value_dims].
cudaError_t launch_combine_splits(const DecodeAttention& attention, int sequences, int value_dims, Bf16* out,
                                  cudaStream_t stream);

/// Relative error over ragged contexts in splits of several lengths, against fp64: the larger of the mean and half the
/// worst of reference::Errors, because rounding happens twice, to the probabilities and to the result. Throws
/// std::runtime_error when the device refuses.
double verify(const AttentionVariant& variant, const cudaDeviceProp& device, std::uint64_t seed);

}  // namespace moesim::cuda
