#pragma once
// Inputs of decode attention on ragged contexts, and what must come out: for the tests and for the verification on a
// device.

#include <functional>
#include <vector>

#include "models/kernels/cuda/decode_attention.hpp"

namespace moesim::cuda {

struct AttentionSizes {
  int key_dims, value_dims;
  bool latent;  ///< values are the first dimensions of keys
  int heads, kv_heads;
};

/// A batch whose keys and values lie in pages in random order; rows that no token owns are poison.
class AttentionCase {
public:
  /// `lengths`: tokens of each sequence, not all zero. `uniform` draws from [0, 1). Scores grow along each context, so
  /// that the maximum changes.
  AttentionCase(const AttentionSizes& sizes, std::vector<int> lengths, const std::function<double()>& uniform);

  const std::vector<int>& lengths() const { return lengths_; }
  const std::vector<Bf16>& q() const { return q_; }
  const std::vector<Bf16>& keys() const { return keys_; }
  const std::vector<Bf16>& values() const { return values_; }  ///< empty when latent
  const std::vector<int>& pages() const { return pages_; }
  int pages_per_sequence() const { return pages_per_sequence_; }
  float scale() const;

  /// [sequences, heads, value_dims]
  std::vector<double> expected() const;

private:
  void fill(std::size_t sequence, int token, const std::function<double()>& uniform);
  std::size_t row(std::size_t sequence, int token, int kv_head) const;
  std::vector<Bf16> rows_of(const std::vector<Bf16>& pool, int dims, std::size_t sequence, int kv_head) const;

  AttentionSizes sizes_;
  std::vector<int> lengths_;
  int pages_per_sequence_;
  std::vector<int> pages_;
  std::vector<Bf16> q_, keys_, values_;
};

}  // namespace moesim::cuda
