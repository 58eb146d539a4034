#pragma once
// Scenarios that take milliseconds.

#include <string>

namespace moesim::testing {

inline const std::string kSmall =
    "model: mixtral-8x7b\ncluster: {gpu: h100-sxm}\nworkload: {phase: decode, tokens_per_gpu: 16, "
    "context: 1024, steps: 2}\n";

/// The config.json of a Mixtral so small that a processor's experts take a millisecond: 3 x 256 x 128 weights each.
inline const std::string kTinyModel =
    R"({"model_type": "mixtral", "architectures": ["MixtralForCausalLM"], "hidden_size": 256,
"intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
"vocab_size": 1000, "max_position_embeddings": 4096, "num_local_experts": 8, "num_experts_per_tok": 2,
"tie_word_embeddings": false})";

}  // namespace moesim::testing
