#include "models/kernels/cuda/attention_case.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "models/kernels/cuda/reference.hpp"

namespace moesim::cuda {
namespace {

constexpr Bf16 kPoison{0xFFFF};

/// Of variance deviation^2.
Bf16 draw(double deviation, const std::function<double()>& uniform) {
  return bf16_from(static_cast<float>(deviation * std::sqrt(12.0) * (uniform() - 0.5)));
}

std::vector<int> shuffled(std::size_t size, const std::function<double()>& uniform) {
  std::vector<int> order(size);
  std::iota(order.begin(), order.end(), 0);
  for (std::size_t i = size; i > 1; --i)
    std::swap(order[i - 1], order[static_cast<std::size_t>(uniform() * static_cast<double>(i))]);
  return order;
}

}  // namespace

AttentionCase::AttentionCase(const AttentionSizes& sizes, std::vector<int> lengths,
                             const std::function<double()>& uniform)
    : sizes_{sizes},
      lengths_{std::move(lengths)},
      pages_per_sequence_{(*std::max_element(lengths_.begin(), lengths_.end()) + kPageTokens - 1) / kPageTokens},
      pages_{shuffled(lengths_.size() * static_cast<std::size_t>(pages_per_sequence_), uniform)} {
  const std::size_t rows = pages_.size() * static_cast<std::size_t>(sizes_.kv_heads * kPageTokens);
  keys_.assign(rows * static_cast<std::size_t>(sizes_.key_dims), kPoison);
  if (!sizes_.latent) values_.assign(rows * static_cast<std::size_t>(sizes_.value_dims), kPoison);
  q_.resize(lengths_.size() * static_cast<std::size_t>(sizes_.heads * sizes_.key_dims));
  for (Bf16& value : q_) value = draw(1.0, uniform);
  for (std::size_t sequence = 0; sequence < lengths_.size(); ++sequence)
    for (int token = 0; token < lengths_[sequence]; ++token) fill(sequence, token, uniform);
}

void AttentionCase::fill(std::size_t sequence, int token, const std::function<double()>& uniform) {
  const auto fill_row = [&](std::vector<Bf16>& pool, int dims, std::size_t at, double deviation) {
    const auto begin = pool.begin() + static_cast<long>(at) * dims;
    std::generate(begin, begin + dims, [&] { return draw(deviation, uniform); });
  };
  for (int kv_head = 0; kv_head < sizes_.kv_heads; ++kv_head) {
    const std::size_t at = row(sequence, token, kv_head);
    fill_row(keys_, sizes_.key_dims, at, 0.3 + 1.2 * token / lengths_[sequence]);
    if (!sizes_.latent) fill_row(values_, sizes_.value_dims, at, 1.0);
  }
}

float AttentionCase::scale() const {
  // A latent key stands for a head of 128 + 64 dimensions (DeepSeek-V3).
  return static_cast<float>(1 / std::sqrt(sizes_.latent ? 192.0 : sizes_.key_dims));
}

std::size_t AttentionCase::row(std::size_t sequence, int token, int kv_head) const {
  const auto page =
      pages_[sequence * static_cast<std::size_t>(pages_per_sequence_) + static_cast<std::size_t>(token / kPageTokens)];
  return static_cast<std::size_t>((page * sizes_.kv_heads + kv_head) * kPageTokens + token % kPageTokens);
}

std::vector<Bf16> AttentionCase::rows_of(const std::vector<Bf16>& pool, int dims, std::size_t sequence,
                                         int kv_head) const {
  std::vector<Bf16> rows;
  for (int token = 0; token < lengths_[sequence]; ++token) {
    const auto begin = pool.begin() + static_cast<long>(row(sequence, token, kv_head)) * dims;
    rows.insert(rows.end(), begin, begin + dims);
  }
  return rows;
}

std::vector<double> AttentionCase::expected() const {
  std::vector<double> all;
  const auto key_dims = static_cast<std::size_t>(sizes_.key_dims);
  const auto value_dims = static_cast<std::size_t>(sizes_.value_dims);
  const int group = sizes_.heads / sizes_.kv_heads;
  auto q = std::span<const Bf16>{q_};
  for (std::size_t sequence = 0; sequence < lengths_.size(); ++sequence)
    for (int kv_head = 0; kv_head < sizes_.kv_heads; ++kv_head) {
      const auto keys = rows_of(keys_, sizes_.key_dims, sequence, kv_head);
      const auto values = sizes_.latent ? keys : rows_of(values_, sizes_.value_dims, sequence, kv_head);
      for (int head = 0; head < group; ++head, q = q.subspan(key_dims)) {
        const auto one = reference::attend(q.first(key_dims), keys, values, sizes_.latent ? key_dims : value_dims,
                                           value_dims, scale());
        all.insert(all.end(), one.begin(), one.end());
      }
    }
  return all;
}

}  // namespace moesim::cuda
