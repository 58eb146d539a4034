#pragma once
// Exact parameter counts and stored bytes (domain B.2, B.3).

#include <array>
#include <cstdint>

#include "models/llm/architecture.hpp"

namespace moesim {

/// `attention` holds what an attention layer owns: projections, their biases, and the small norms inside it (q and k
/// norms, MLA's latent norms); `norms` the two of every layer and the final one; `router` its matrix and selection
/// bias.
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

/// Format a tensor class is stored in. Norms and router: bf16.
NumberFormat format_of(TensorClass tensor, const Precision& precision);

/// Bytes of each tensor class of the whole model.
std::array<Bytes, kTensorClassCount> weight_bytes(const Architecture& model, const Precision& precision);
Bytes total_weight_bytes(const Architecture& model, const Precision& precision);

/// Weights that one forward step of `tokens` uniformly routed tokens reads at least once: everything but the input
/// embedding (a lookup), with the expected number of distinct experts (ops.hpp). One token: active_without_embedding.
Bytes weights_read_per_step(const Architecture& model, const Precision& precision, double tokens);

/// KV-cache bytes that one token adds on one rank, all layers: gqa 2*max(1, kv_heads/tp)*head_dim*b*L,
/// mla (kv_lora + rope)*b*L whatever tp is.
Bytes kv_bytes_per_token(const Architecture& model, NumberFormat format, int tp = 1);

}  // namespace moesim
