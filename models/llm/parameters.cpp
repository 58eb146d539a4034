#include "models/llm/parameters.hpp"

#include <algorithm>
#include <numeric>

#include "models/llm/expert_slices.hpp"
#include "models/llm/ops.hpp"

namespace moesim {
namespace {

/// Parameters of the pieces a model is built of (domain B.2). N is int64, exact, or double, which cannot overflow.
template <class N>
struct Pieces {
  N embedding, attention, layer_norms, final_norm, expert, shared, router, dense;
};

/// d q_l + q_l + q_l h (d_n + d_r)  |  d h (d_n + d_r);  + d (r + d_r) + r + r h (d_n + d_v) + h d_v d
template <class N>
N mla_parameters(N d, const AttentionSpec& a, int tp) {
  const int whole_heads = a.heads / tp;
  const N h = whole_heads, q_l = a.q_lora, r = a.kv_lora, qk = N(a.nope) + a.rope;
  const N query = a.q_lora > 0 ? d * q_l + q_l + q_l * h * qk : d * h * qk;
  return query + d * (r + a.rope) + r + r * h * (N(a.nope) + a.v_dim) + h * a.v_dim * d;
}

template <class N>
N qk_norm_parameters(N q, N kv, const AttentionSpec& a) {
  if (a.qk_norm == QkNorm::head) return N(2) * a.head_dim;
  return a.qk_norm == QkNorm::full ? q + kv : N(0);
}

/// d h d_h + 2 d h_kv d_h + h d_h d;  biases h d_h + 2 h_kv d_h, and d;  q and k norm;  h sinks
template <class N>
N gqa_parameters(N d, const AttentionSpec& a, int tp) {
  const int whole_heads = a.heads / tp, kv_heads = std::max(1, a.kv_heads / tp);
  const N heads = whole_heads, q = heads * a.head_dim, kv = N(kv_heads) * a.head_dim;
  return d * q + 2 * d * kv + q * d + (a.bias ? q + 2 * kv : 0) + (a.output_bias ? d : 0) +
         qk_norm_parameters(q, kv, a) + (a.sinks ? heads : 0);
}

template <class N>
N attention_of(const Architecture& model, int tp) {
  const N d = model.hidden;
  return model.attention.kind == AttentionKind::mla ? mla_parameters<N>(d, model.attention, tp)
                                                    : gqa_parameters<N>(d, model.attention, tp);
}

/// An expert's biases: of gate and up f each, of down d.
template <class N>
N expert_biases(const Architecture& model, int tp) {
  if (!model.moe || !model.moe->bias) return 0;
  const int columns = model.moe->expert_hidden / tp;
  return (model.gated ? 2 : 1) * N(columns) + model.hidden;
}

template <class N>
Pieces<N> pieces_of(const Architecture& model) {
  const N d = model.hidden, matrices = model.gated ? 3 : 2, norm = model.norm_bias ? 2 * d : d;
  Pieces<N> p{};
  p.embedding = N(model.vocab) * d;
  p.attention = attention_of<N>(model, 1);
  p.layer_norms = model.norms_per_layer * norm;
  p.final_norm = norm;
  p.dense = matrices * d * N(model.dense_hidden);
  if (const auto& moe = model.moe) {
    p.expert = matrices * d * N(moe->expert_hidden) + expert_biases<N>(model, 1);
    p.shared = matrices * d * N(moe->shared_hidden);
    p.router = d * N(moe->experts) + (moe->router.selection_bias ? moe->experts : 0) +
               (moe->router.bias ? moe->experts : 0) + (moe->shared_gate ? d : 0);
  }
  return p;
}

/// MoE layers of both stacks.
int all_moe_layers(const Architecture& model) {
  if (!model.encoder) return model.moe_layers();
  const auto& encoder = model.encoder->moe_layer;
  return model.moe_layers() + static_cast<int>(std::count(encoder.begin(), encoder.end(), true));
}

/// Decoder layers of an encoder-decoder have attention, and its norm, twice; both stacks have a final norm and a table
/// of position biases.
template <class N>
std::array<N, kTensorClassCount> by_class(const Architecture& model, const Pieces<N>& p) {
  const int stacks = model.encoder ? 2 : 1;
  const N encoder = model.encoder ? model.encoder->layers : 0, cross = model.encoder ? model.layers : 0;
  const N layers = model.layers + encoder, moe = all_moe_layers(model), dense = layers - moe;
  const N experts = model.moe ? model.moe->experts : 0;
  const N positions = N(stacks) * model.attention.relative_buckets * model.attention.heads;
  const N head_bias = model.head_bias ? model.vocab : 0;
  return {p.embedding,
          (model.tied_embedding ? N(0) : p.embedding) + head_bias,
          (layers + cross) * p.attention + positions,
          layers * p.layer_norms + cross * model.hidden + stacks * p.final_norm,
          moe * p.router,
          moe * experts * p.expert,
          moe * p.shared,
          dense * p.dense};
}

/// Elements that one token adds to the cache of one layer.
double cache_entry(const AttentionSpec& a, int tp) {
  return a.kind == AttentionKind::mla ? a.kv_lora + a.rope : 2.0 * std::max(1, a.kv_heads / tp) * a.head_dim;
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
  counts.active = counts.total - all_moe_layers(model) * idle * p.expert;
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

std::int64_t attention_parameters(const Architecture& model, int tp) {
  return attention_of<std::int64_t>(model, tp);
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

Bytes expert_bytes(const Architecture& model, NumberFormat format, int tp) {
  if (!model.moe) return Bytes{};
  const double d = model.hidden, f = expert_slice_width(model, format, tp);
  return matrix_bytes((model.gated ? 2 : 1) * f, d, format) + matrix_bytes(d, f, format) +
         bytes_of(expert_biases<double>(model, tp), NumberFormat::bf16);
}

std::array<Bytes, kTensorClassCount> weight_bytes(const Architecture& model, const Precision& precision) {
  const ParameterCounts counts = count_parameters(model);
  std::array<Bytes, kTensorClassCount> bytes;
  for (TensorClass tensor : kTensorClasses)
    bytes[static_cast<std::size_t>(tensor)] =
        bytes_of(static_cast<double>(counts[tensor]), format_of(tensor, precision));
  if (model.moe)
    bytes[static_cast<std::size_t>(TensorClass::experts)] =
        static_cast<double>(all_moe_layers(model)) * model.moe->experts * expert_bytes(model, precision.experts);
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

Bytes kv_bytes_per_layer(const Architecture& model, NumberFormat format, int tp) {
  return vector_bytes_of(cache_entry(model.attention, tp), format);
}

Bytes kv_bytes_per_token(const Architecture& model, NumberFormat format, int tp) {
  return vector_bytes_of(cache_entry(model.attention, tp) * model.layers, format);
}

double kv_entries_kept(const Architecture& model, Reach reach, double context) {
  return reach == Reach::windowed ? std::min<double>(context, model.attention.window) : context;
}

Bytes kv_bytes_of_sequence(const Architecture& model, NumberFormat format, double context, int tp) {
  double entries = 0;
  for (const Reach reach : {Reach::full, Reach::windowed})
    entries += model.layers_of(reach) * kv_entries_kept(model, reach, context);
  return entries * kv_bytes_per_layer(model, format, tp);
}

}  // namespace moesim
