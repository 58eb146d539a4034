#pragma once
// Every operation of one layer on one rank: FLOPs and HBM bytes (domain B.5).

#include <string>
#include <variant>
#include <vector>

#include "models/llm/architecture.hpp"

namespace moesim {

enum class Phase { prefill, decode };
std::string_view name_of(Phase phase);

/// Matrix product [m, k] x [k, n] -> [m, n]; activations bf16. FLOPs 2mnk, bytes nk b_w + 2mk + 2mn where nothing else
/// is said. Experts: m is the rows of all local slots, each slot with its own weights. MLA's absorbed products are one
/// small product per head: n (or k) counts all heads.
struct Gemm {
  double m = 0, n = 0, k = 0;
  NumberFormat weights = NumberFormat::bf16;
};

/// The attention core of one layer on one rank.
struct AttentionCore {
  Phase phase = Phase::decode;
  AttentionKind kind = AttentionKind::gqa;
  double sequences = 0;   ///< batch
  double new_tokens = 1;  ///< query tokens per sequence (decode: 1)
  double context = 0;     ///< KV entries per sequence before this step's own tokens; those still in sight at decode
  double heads = 0;       ///< on this rank
  double kv_heads = 0;    ///< on this rank
  double head_dim = 0;    ///< mla: kv_lora + rope when absorbed, nope + rope when naive
  bool absorbed = false;  ///< mla decode form
  NumberFormat kv = NumberFormat::bf16;
};

/// Streams bytes through HBM: norms, RoPE, top-k, permutes, activation.
struct Streaming {};

enum class OpClass {
  norm,
  attention_projection,
  attention_core,
  router,
  dispatch_local,
  expert,
  shared_expert,
  dense_ffn,
  head,
  sampling,
  extra  ///< what a user adds (extra_ops.hpp)
};
std::string_view name_of(OpClass kind);

struct Op {
  std::string name;  ///< as in B.5: "qkv", "attention core", "o", "router", ...
  OpClass kind = OpClass::norm;
  Flops flops;
  Bytes bytes;  ///< HBM reads + writes, weights included
  std::variant<Streaming, Gemm, AttentionCore> shape;
};

/// What one rank works on in one step.
struct RankBatch {
  Phase phase = Phase::decode;
  double sequences = 0;   ///< sequences on this data-parallel rank (whole TP group works on the same ones)
  double new_tokens = 1;  ///< per sequence: decode 1, prefill the chunk
  double context = 0;     ///< KV entries per sequence before this step
  double tokens() const { return sequences * new_tokens; }
};

/// Norm, QKV (or the MLA projections), RoPE and KV write, attention core, output projection of one layer that looks
/// back as far as `reach`. `tp` splits heads.
///
/// T = tokens, S = sequences, n = new tokens and p = context per sequence, h and h_kv heads on this rank (h_kv at least
/// 1). Causal (query, key) pairs per sequence: n p + n (n + 1) / 2.
///   norm             8 T d FLOPs, 8 T d bytes (residual and x, read and written)
///   qkv, o           GEMMs; d h d_h and so on
///   q and k norm     4 FLOPs and 4 bytes per element
///   rope, KV write   3 FLOPs and 4 bytes per element of q and k, and the new cache entries
///   core, gqa        4 h d_h FLOPs per pair; bytes: Q and O 4 T h d_h, and the K and V of p + n tokens. Decode reads
///   the
///                    cache once; prefill once per 1,024 query rows (8 tiles of 128 share what L2 holds [assumed]),
///                    causal.
///   MLA, prefill     naive: kv_b decompresses all p + n tokens, 2 r h (d_n + d_v) FLOPs each;
///                    core 2 h (d_n + d_r + d_v) FLOPs per pair over decompressed bf16 K and V
///   MLA, decode      absorbed: 2 h d_n r and 2 h r d_v FLOPs per token around the core; core 2 h (2 r + d_r) FLOPs per
///                    pair, cache (r + d_r) b_kv bytes per key, shared by all heads and whole on every TP rank
///   windows          a query at position i sees min(i + 1, w) keys when it slides, i mod w + 1 in its chunk; bytes:
///   the
///                    keys that the query rows of one read see together
///   biases           2 bytes per output column; sinks 2 bytes per head
///   post norm        Grok-1: 4 FLOPs and 4 bytes per element of the output
/// Source: DeepSeek-V2 report, arXiv:2405.04434, section 2.1 and appendix C.
/// Throws std::invalid_argument when tp does not divide the heads, or neither of tp and kv_heads divides the other, or
/// for a windowed layer of a model without windows; NotModelledYet for an encoder-decoder, as all functions below.
std::vector<Op> attention_ops(const Architecture& model, const Precision& precision, const RankBatch& batch, int tp,
                              Reach reach = Reach::full);

/// (query, key) pairs of the core for one sequence of the batch, and cache entries that it reads from HBM. A windowed
/// reach is only for models with a window.
double attended_pairs(const Architecture& model, Reach reach, const RankBatch& batch);
double cache_entries_read(const Architecture& model, Reach reach, const RankBatch& batch);

/// Norm, router GEMM and top-k of a MoE layer; then local permute/quantise for dispatch and the weighted sum of
/// combine. Router GEMM: bf16 weights, fp32 scores: 2 T d E FLOPs, 2 d E + 2 T d + 4 T E bytes. Top-k: T E FLOPs, 8 T E
/// bytes. Permute: reads 2 T d, writes k rows per token in the dispatch format. Weighted sum: 2 k T d FLOPs, reads k
/// rows per token in the combine format, writes 2 T d. Throws std::invalid_argument for a dense model.
std::vector<Op> routing_ops(const Architecture& model, const Precision& precision, double tokens);

/// Shared experts on `tokens` local tokens, width split by `tp`. Empty when the model has none.
/// gate and up 2 T d 2f, SwiGLU 5 T f FLOPs and 6 T f bytes, down 2 T f d; Qwen2-MoE's gate 2 T d. Throws
/// std::invalid_argument when tp does not divide the width; so do dense_ffn_ops and expert_ops.
std::vector<Op> shared_expert_ops(const Architecture& model, const Precision& precision, double tokens, int tp);

/// FFN of a dense layer, norm included.
std::vector<Op> dense_ffn_ops(const Architecture& model, const Precision& precision, double tokens, int tp);

/// Routed experts of one layer on one rank given rows per local slot: grouped GEMM 1, SwiGLU, grouped GEMM 2. FLOPs and
/// bytes only (the time comes from models/kernels); a slot without rows reads no weights. `tp` splits the expert width.
/// m = rows of all slots, a = slots with rows, f = width / tp, b_a as activation_format(experts):
///   gate and up 2 m d 2f FLOPs, 2 a d f b_w + m d b_a + 4 m f bytes;  SwiGLU 5 m f FLOPs, 4 m f + m f b_a bytes;
///   down 2 m f d FLOPs, a d f b_w + m f b_a + 2 m d bytes
/// Ungated experts: up 2 m d f FLOPs, a d f b_w + m d b_a + 2 m f bytes; ReLU m f FLOPs, 2 m f + m f b_a bytes.
/// Biases: 2 bytes per column of every slot with rows, once.
std::vector<Op> expert_ops(const Architecture& model, const Precision& precision, const std::vector<int>& rows_per_slot,
                           int tp);

/// Final norm, LM head for `sequences` last tokens, sampling (greedy: one read of the bf16 logits). `tp` splits the
/// vocabulary, the last rank's part padded.
std::vector<Op> head_ops(const Architecture& model, const Precision& precision, double sequences, int tp);

/// E(1 - (1 - k/E)^T): experts that T independent, uniformly routed tokens touch.
double expected_active_experts(int experts, int top_k, double tokens);

}  // namespace moesim
