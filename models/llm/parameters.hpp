#pragma once
// Exact parameter counts and stored bytes (domain B.2, B.3).

#include <array>
#include <cstdint>

#include "models/llm/architecture.hpp"

namespace moesim {

/// `attention` holds what an attention layer owns: projections, their biases, the small norms inside it (q and k norms,
/// MLA's latent norms), sinks and T5's position biases; `norms` those of every layer and the final one; `router` its
/// matrix and biases, and the gate of shared experts; `experts` and `head` their biases too. An encoder's are in the
/// same classes.
enum class TensorClass { embedding, head, attention, norms, router, experts, shared_experts, dense_ffn };
inline constexpr std::array kTensorClasses{TensorClass::embedding,      TensorClass::head,     TensorClass::attention,
                                           TensorClass::norms,          TensorClass::router,   TensorClass::experts,
                                           TensorClass::shared_experts, TensorClass::dense_ffn};
std::string_view name_of(TensorClass tensor);
inline constexpr std::size_t kTensorClassCount = kTensorClasses.size();

struct ParameterCounts {
  std::array<std::int64_t, kTensorClassCount> of{};  ///< whole model, by TensorClass; MTP module apart
  std::int64_t total = 0;
  std::int64_t active = 0;                    ///< including everything
  std::int64_t active_without_embedding = 0;  ///< minus the input embedding: what FLOPs use
  std::int64_t active_without_embedding_head = 0;
  std::int64_t per_expert = 0;  ///< one routed expert of one layer
  std::int64_t attention_per_layer = 0;
  std::int64_t mtp = 0;  ///< parameters of the MTP modules that the main model does not hold

  std::int64_t operator[](TensorClass tensor) const { return of[static_cast<std::size_t>(tensor)]; }
};

ParameterCounts count_parameters(const Architecture& model);

/// Total and MTP module together in floating point, which cannot overflow: to refuse absurd sizes before counting.
double approximate_total(const Architecture& model);

/// Parameters of one attention layer on one of `tp` ranks, heads split: 1 is ParameterCounts::attention_per_layer.
/// Down projections of MLA make the latent, which every rank needs whole; a rank has at least one KV head.
std::int64_t attention_parameters(const Architecture& model, int tp);

/// Format a tensor class is stored in. Norms and router: bf16.
NumberFormat format_of(TensorClass tensor, const Precision& precision);

/// One routed expert of one layer on one of `tp` ranks, its biases in bf16.
Bytes expert_bytes(const Architecture& model, NumberFormat format, int tp = 1);

/// Bytes of each tensor class of the whole model. Biases of experts stay bf16, as gpt-oss stores them.
std::array<Bytes, kTensorClassCount> weight_bytes(const Architecture& model, const Precision& precision);
Bytes total_weight_bytes(const Architecture& model, const Precision& precision);

/// Weights that one forward step of `tokens` uniformly routed tokens reads at least once: everything but the input
/// embedding (a lookup), with the expected number of distinct experts (ops.hpp). One token: active_without_embedding.
Bytes weights_read_per_step(const Architecture& model, const Precision& precision, double tokens);

/// KV-cache bytes that one token adds on one rank in one layer: gqa 2*max(1, kv_heads/tp)*head_dim*b,
/// mla (kv_lora + rope)*b whatever tp is. An encoder-decoder's decoder keeps as much for every token of its output (its
/// own attention) and of its input (attention to the encoder).
Bytes kv_bytes_per_layer(const Architecture& model, NumberFormat format, int tp = 1);

/// The same over all layers, while every window still holds the token.
Bytes kv_bytes_per_token(const Architecture& model, NumberFormat format, int tp = 1);

/// Entries that a layer keeps of a sequence of `context` tokens: all, or at most a window. A chunk is kept until it is
/// full, so that is what must fit.
double kv_entries_kept(const Architecture& model, Reach reach, double context);

/// KV cache of one sequence of `context` tokens on one rank, all layers.
Bytes kv_bytes_of_sequence(const Architecture& model, NumberFormat format, double context, int tp = 1);

}  // namespace moesim
