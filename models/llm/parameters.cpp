#include "models/llm/parameters.hpp"

#include <algorithm>
#include <numeric>

#include "models/llm/ops.hpp"

namespace moesim {
namespace {

/// Parameters of the pieces a model is built of (domain B.2). N is int64, exact, or double, which cannot overflow.
template <class N>
struct Pieces {
  N embedding, attention, layer_norms, expert, shared, router, dense;
};

/// d q_l + q_l + q_l h (d_n + d_r)  |  d h (d_n + d_r);  + d (r + d_r) + r + r h (d_n + d_v) + h d_v d
template <class N>
N mla_parameters(N d, const AttentionSpec& a) {
  const N h = a.heads, q_l = a.q_lora, r = a.kv_lora, qk = N(a.nope) + a.rope;
  const N query = a.q_lora > 0 ? d * q_l + q_l + q_l * h * qk : d * h * qk;
  return query + d * (r + a.rope) + r + r * h * (N(a.nope) + a.v_dim) + h * a.v_dim * d;
}

/// d h d_h + 2 d h_kv d_h + h d_h d;  bias h d_h + 2 h_kv d_h + d;  per-head q and k norm 2 d_h
template <class N>
N gqa_parameters(N d, const AttentionSpec& a) {
  const N q = N(a.heads) * a.head_dim, kv = N(a.kv_heads) * a.head_dim;
  return d * q + 2 * d * kv + q * d + (a.bias ? q + 2 * kv + d : 0) + (a.qk_norm ? N(2) * a.head_dim : 0);
}

template <class N>
Pieces<N> pieces_of(const Architecture& model) {
  const N d = model.hidden;
  Pieces<N> p{};
  p.embedding = N(model.vocab) * d;
  p.attention = model.attention.kind == AttentionKind::mla ? mla_parameters<N>(d, model.attention)
                                                           : gqa_parameters<N>(d, model.attention);
  p.layer_norms = 2 * d;
  p.dense = 3 * d * N(model.dense_hidden);
  if (model.moe) {
    p.expert = 3 * d * N(model.moe->expert_hidden);
    p.shared = 3 * d * N(model.moe->shared_hidden);
    p.router = d * N(model.moe->experts) + (model.moe->router.selection_bias ? model.moe->experts : 0);
  }
  return p;
}

template <class N>
std::array<N, kTensorClassCount> by_class(const Architecture& model, const Pieces<N>& p) {
  const N moe = model.moe_layers(), dense = model.layers - moe;
  const N experts = model.moe ? model.moe->experts : 0;
  return {p.embedding,
          model.tied_embedding ? N(0) : p.embedding,
          N(model.layers) * p.attention,
          N(model.layers) * p.layer_norms + model.hidden,
          moe * p.router,
          moe * experts * p.expert,
          moe * p.shared,
          dense * p.dense};
}

/// One module: a layer like the last one, eh_proj [2d, d], and the norms enorm, hnorm and shared_head.norm. Embedding
/// and head are the main model's. Source: DeepSeek-V3 report, arXiv:2412.19437, section 2.2.
template <class N>
N mtp_parameters(const Architecture& model, const Pieces<N>& p) {
  const N d = model.hidden;
  const N ffn = model.moe && model.moe_layer.back() ? model.moe->experts * p.expert + p.shared + p.router : p.dense;
  return model.mtp_layers * (p.attention + p.layer_norms + ffn + 2 * d * d + 3 * d);
}

}  // namespace

std::string_view name_of(TensorClass tensor) {
  constexpr std::array<std::string_view, kTensorClassCount> kNames{
      "embedding", "head", "attention", "norms", "router", "experts", "shared_experts", "dense_ffn"};
  return kNames[static_cast<std::size_t>(tensor)];
}

ParameterCounts count_parameters(const Architecture& model) {
  const auto p = pieces_of<std::int64_t>(model);
  ParameterCounts counts;
  counts.of = by_class(model, p);
  counts.total = std::accumulate(counts.of.begin(), counts.of.end(), std::int64_t{0});
  const std::int64_t idle = model.moe ? model.moe->experts - model.moe->top_k : 0;
  counts.active = counts.total - model.moe_layers() * idle * p.expert;
  // A tied embedding is also the head, whose product is computed: it is then not subtracted.
  counts.active_without_embedding = counts.active - (model.tied_embedding ? 0 : p.embedding);
  counts.active_without_embedding_head = counts.active - counts[TensorClass::embedding] - counts[TensorClass::head];
  counts.per_expert = p.expert;
  counts.attention_per_layer = p.attention;
  counts.mtp = mtp_parameters(model, p);
  return counts;
}

double approximate_total(const Architecture& model) {
  const auto counts = by_class(model, pieces_of<double>(model));
  return std::accumulate(counts.begin(), counts.end(), mtp_parameters(model, pieces_of<double>(model)));
}

NumberFormat format_of(TensorClass tensor, const Precision& precision) {
  switch (tensor) {
    case TensorClass::embedding:
    case TensorClass::head:
      return precision.embedding;
    case TensorClass::attention:
    case TensorClass::shared_experts:
    case TensorClass::dense_ffn:
      return precision.weights;
    case TensorClass::experts:
      return precision.experts;
    case TensorClass::norms:
    case TensorClass::router:
      break;
  }
  return NumberFormat::bf16;
}

std::array<Bytes, kTensorClassCount> weight_bytes(const Architecture& model, const Precision& precision) {
  const ParameterCounts counts = count_parameters(model);
  std::array<Bytes, kTensorClassCount> bytes;
  for (TensorClass tensor : kTensorClasses)
    bytes[static_cast<std::size_t>(tensor)] =
        bytes_of(static_cast<double>(counts[tensor]), format_of(tensor, precision));
  return bytes;
}

Bytes total_weight_bytes(const Architecture& model, const Precision& precision) {
  const auto bytes = weight_bytes(model, precision);
  return std::accumulate(bytes.begin(), bytes.end(), Bytes{});
}

Bytes weights_read_per_step(const Architecture& model, const Precision& precision, double tokens) {
  const auto bytes = weight_bytes(model, precision);
  const Bytes experts = bytes[static_cast<std::size_t>(TensorClass::experts)];
  const Bytes embedding = bytes[static_cast<std::size_t>(TensorClass::embedding)];
  Bytes read = total_weight_bytes(model, precision) - experts;
  if (!model.tied_embedding) read -= embedding;
  if (!model.moe) return read;
  const double touched = expected_active_experts(model.moe->experts, model.moe->top_k, tokens);
  return read + touched / model.moe->experts * experts;
}

Bytes kv_bytes_per_token(const Architecture& model, NumberFormat format, int tp) {
  const AttentionSpec& a = model.attention;
  const double per_layer =
      a.kind == AttentionKind::mla ? a.kv_lora + a.rope : 2.0 * std::max(1, a.kv_heads / tp) * a.head_dim;
  return vector_bytes_of(per_layer * model.layers, format);
}

}  // namespace moesim
