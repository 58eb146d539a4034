#pragma once
// Every operation of one layer on one rank: FLOPs and HBM bytes (domain B.5).

#include <string>
#include <variant>
#include <vector>

#include "models/llm/architecture.hpp"

namespace moesim {

enum class Phase { prefill, decode };
std::string_view name_of(Phase phase);

/// Dense matrix product [m, k] x [k, n] -> [m, n]; activations bf16. FLOPs 2mnk.
struct Gemm {
  double m = 0, n = 0, k = 0;
  NumberFormat weights = NumberFormat::bf16;
};

/// The attention core of one layer on one rank.
struct AttentionCore {
  Phase phase = Phase::decode;
  AttentionKind kind = AttentionKind::gqa;
  double sequences = 0;       ///< batch
  double new_tokens = 1;      ///< query tokens per sequence (decode: 1)
  double context = 0;         ///< KV entries per sequence before this step's own tokens
  double heads = 0;           ///< on this rank
  double kv_heads = 0;        ///< on this rank
  double head_dim = 0;        ///< mla: kv_lora + rope when absorbed, nope + rope when naive
  bool absorbed = false;      ///< mla decode form
  NumberFormat kv = NumberFormat::bf16;
};

/// Streams bytes through HBM: norms, RoPE, top-k, permutes, activation.
struct Streaming {};

enum class OpClass { norm, attention_projection, attention_core, router, dispatch_local, expert, shared_expert, dense_ffn, head, sampling };
std::string_view name_of(OpClass kind);

struct Op {
  std::string name;  ///< as in B.5: "qkv", "attention core", "o", "router", ...
  OpClass kind = OpClass::norm;
  Flops flops;
  Bytes bytes;       ///< HBM reads + writes, weights included
  std::variant<Streaming, Gemm, AttentionCore> shape;
};

/// What one rank works on in one step.
struct RankBatch {
  Phase phase = Phase::decode;
  double sequences = 0;    ///< sequences on this data-parallel rank (whole TP group works on the same ones)
  double new_tokens = 1;   ///< per sequence: decode 1, prefill the chunk
  double context = 0;      ///< KV entries per sequence before this step
  double tokens() const { return sequences * new_tokens; }
};

/// Norm, QKV (or the MLA projections), RoPE and KV write, attention core, output projection. `tp` splits heads.
std::vector<Op> attention_ops(const Architecture& model, const Precision& precision, const RankBatch& batch, int tp);

/// Norm, router GEMM and top-k of a MoE layer; then local permute/quantise for dispatch and the weighted sum of combine.
std::vector<Op> routing_ops(const Architecture& model, const Precision& precision, double tokens);

/// Shared experts on `tokens` local tokens, width split by `tp`. Empty when the model has none.
std::vector<Op> shared_expert_ops(const Architecture& model, const Precision& precision, double tokens, int tp);

/// FFN of a dense layer, norm included.
std::vector<Op> dense_ffn_ops(const Architecture& model, const Precision& precision, double tokens, int tp);

/// Routed experts of one layer on one rank given rows per local slot: grouped GEMM 1, SwiGLU, grouped GEMM 2. FLOPs and
/// bytes only (the time comes from models/kernels); a slot without rows reads no weights. `tp` splits the expert width.
std::vector<Op> expert_ops(const Architecture& model, const Precision& precision, const std::vector<int>& rows_per_slot, int tp);

/// Final norm, LM head for `sequences` last tokens, sampling.
std::vector<Op> head_ops(const Architecture& model, const Precision& precision, double sequences, int tp);

/// E(1 - (1 - k/E)^T): experts that T independent, uniformly routed tokens touch.
double expected_active_experts(int experts, int top_k, double tokens);

}  // namespace moesim
