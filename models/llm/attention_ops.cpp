#include <algorithm>
#include <cmath>
#include <stdexcept>

#include <fmt/format.h>

#include "models/llm/op_pieces.hpp"

namespace moesim {
namespace {

int kv_heads_on_rank(const AttentionSpec& a, int tp) {
  if (a.kv_heads % tp != 0 && tp % a.kv_heads != 0)
    throw std::invalid_argument{fmt::format("tp = {} and {} KV heads: neither divides the other", tp, a.kv_heads)};
  return std::max(1, a.kv_heads / tp);
}

/// q and k are read and rotated (two products and a sum per element) and written; then the new entries go to the cache.
Op rope_op(double rotated, double cached, NumberFormat kv) {
  return {"rope and kv write", OpClass::attention_core, Flops{3 * rotated},
          Bytes{2 * kActivationBytes * rotated} + vector_bytes_of(cached, kv), Streaming{}};
}

/// Of a layer with a window, decode sees only what is in it; a prefill's FLOPs say how much of the context is.
double context_in_sight(const Architecture& model, Reach reach, const RankBatch& batch) {
  if (reach == Reach::full || batch.phase == Phase::prefill) return batch.context;
  return cache_entries_read(model, reach, batch) - batch.new_tokens;
}

std::vector<Op> grouped_attention_ops(const Architecture& model, const Precision& precision, const RankBatch& batch,
                                      int tp, Reach reach) {
  const AttentionSpec& a = model.attention;
  const double tokens = batch.tokens(), d = model.hidden, width = a.head_dim, sequences = batch.sequences;
  const double heads = part(a.heads, tp, "heads"), kv_heads = kv_heads_on_rank(a, tp);
  const bool rotates = reach == Reach::windowed || !a.rope_in_windows_only;
  const double qk = rotates ? tokens * (heads + kv_heads) * width : 0;
  const AttentionCore core{
      batch.phase, a.kind, sequences, batch.new_tokens, context_in_sight(model, reach, batch), heads,
      kv_heads,    width,  false,     precision.kv};
  const Bytes cache =
      vector_bytes_of(sequences * cache_entries_read(model, reach, batch) * 2 * kv_heads * width, precision.kv);
  const Bytes sinks{a.sinks ? kActivationBytes * heads : 0};

  std::vector<Op> ops{residual_norm_op("attention norm", tokens, d)};
  ops.push_back(gemm_op("qkv", OpClass::attention_projection,
                        {tokens, (heads + 2 * kv_heads) * width, d, precision.weights}, a.bias));
  if (a.qk_norm != QkNorm::none && rotates) ops.push_back(plain_norm_op("q and k norm", qk));
  ops.push_back(rope_op(qk, tokens * 2 * kv_heads * width, precision.kv));
  ops.push_back({"attention core", OpClass::attention_core,
                 Flops{4 * heads * width * sequences * attended_pairs(model, reach, batch)},
                 Bytes{2 * kActivationBytes * tokens * heads * width} + cache + sinks, core});
  ops.push_back(
      gemm_op("o", OpClass::attention_projection, {tokens, d, heads * width, precision.weights}, a.output_bias));
  if (model.norms_per_layer == 4) ops.push_back(plain_norm_op("post attention norm", tokens * d));
  return ops;
}

/// What both forms of MLA do before the core: the projections of q and of the latent, their norms, RoPE, the cache
/// write. The down projections of q and of the latent are one GEMM, whole on every TP rank.
void add_latent_projections(const Architecture& model, const Precision& precision, double tokens, double heads,
                            std::vector<Op>& ops) {
  const AttentionSpec& a = model.attention;
  const double d = model.hidden, entry = a.kv_lora + a.rope, query = heads * a.head_dim;
  const auto projection = [&](const char* name, double n, double k) {
    ops.push_back(gemm_op(name, OpClass::attention_projection, {tokens, n, k, precision.weights}));
  };
  ops.push_back(residual_norm_op("attention norm", tokens, d));
  if (a.q_lora > 0) {
    projection("q_a and kv_a", a.q_lora + entry, d);
    ops.push_back(plain_norm_op("latent norm", tokens * (a.q_lora + a.kv_lora)));
    projection("q_b", query, a.q_lora);
  } else {
    projection("q and kv_a", query + entry, d);
    ops.push_back(plain_norm_op("latent norm", tokens * a.kv_lora));
  }
  ops.push_back(rope_op(tokens * (heads + 1) * a.rope, tokens * entry, precision.kv));
}

/// One product per head: weights [h, k, n] once, activations of every head in and out.
Op per_head_op(const char* name, double tokens, double heads, double in, double out, const Gemm& shape) {
  return {name, OpClass::attention_projection, Flops{2 * tokens * heads * in * out},
          bytes_of(heads * in * out, shape.weights) + Bytes{kActivationBytes * tokens * heads * (in + out)}, shape};
}

/// Decode: queries are taken into the latent space, where the cache is one key and value for all heads.
void add_absorbed_core(const Architecture& model, const Precision& precision, const RankBatch& batch, double heads,
                       std::vector<Op>& ops) {
  const AttentionSpec& a = model.attention;
  const double tokens = batch.tokens(), rank = a.kv_lora, entry = rank + a.rope;
  const AttentionCore core{batch.phase, a.kind, batch.sequences, batch.new_tokens, batch.context, heads, 1,
                           entry,       true,   precision.kv};
  const Bytes cache =
      vector_bytes_of(batch.sequences * cache_entries_read(model, Reach::full, batch) * entry, precision.kv);
  const double nope = a.nope, v = a.v_dim;

  ops.push_back(per_head_op("absorb q", tokens, heads, nope, rank, {tokens, heads * rank, nope, precision.weights}));
  ops.push_back({"attention core", OpClass::attention_core,
                 Flops{2 * heads * (entry + rank) * batch.sequences * attended_pairs(model, Reach::full, batch)},
                 Bytes{kActivationBytes * tokens * heads * (entry + rank)} + cache, core});
  ops.push_back(per_head_op("absorb v", tokens, heads, rank, v, {tokens, heads * v, rank, precision.weights}));
}

/// Prefill: the latents of all attended tokens are decompressed to per-head keys and values.
void add_naive_core(const Architecture& model, const Precision& precision, const RankBatch& batch, double heads,
                    std::vector<Op>& ops) {
  const AttentionSpec& a = model.attention;
  const double tokens = batch.tokens(), attended = batch.sequences * (batch.context + batch.new_tokens);
  const double qk = a.head_dim, v = a.v_dim, read = batch.sequences * cache_entries_read(model, Reach::full, batch);
  const AttentionCore core{batch.phase, a.kind, batch.sequences, batch.new_tokens,  batch.context, heads,
                           heads,       qk,     false,           NumberFormat::bf16};

  ops.push_back(gemm_op("kv_b", OpClass::attention_projection,
                        {attended, heads * (a.nope + v), static_cast<double>(a.kv_lora), precision.weights}));
  ops.push_back({"attention core", OpClass::attention_core,
                 Flops{2 * heads * (qk + v) * batch.sequences * attended_pairs(model, Reach::full, batch)},
                 Bytes{kActivationBytes * heads * (qk + v) * (tokens + read)}, core});
}

std::vector<Op> latent_attention_ops(const Architecture& model, const Precision& precision, const RankBatch& batch,
                                     int tp) {
  const double heads = part(model.attention.heads, tp, "heads"), tokens = batch.tokens();
  std::vector<Op> ops;
  add_latent_projections(model, precision, tokens, heads, ops);
  if (batch.phase == Phase::decode) {
    add_absorbed_core(model, precision, batch, heads, ops);
  } else {
    add_naive_core(model, precision, batch, heads, ops);
  }
  const double width = heads * model.attention.v_dim, d = model.hidden;
  ops.push_back(gemm_op("o", OpClass::attention_projection, {tokens, d, width, precision.weights}));
  return ops;
}

}  // namespace

std::vector<Op> attention_ops(const Architecture& model, const Precision& precision, const RankBatch& batch, int tp,
                              Reach reach) {
  check_decoder_only(model);
  if (reach == Reach::windowed && model.attention.window < 1)
    throw std::invalid_argument{model.name + " has no windowed layers"};
  return model.attention.kind == AttentionKind::mla ? latent_attention_ops(model, precision, batch, tp)
                                                    : grouped_attention_ops(model, precision, batch, tp, reach);
}

}  // namespace moesim
