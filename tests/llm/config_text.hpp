#pragma once
// Small config.json texts for tests: a base that loads, one key changed, and what becomes of it.

#include <string>

#include "models/llm/architecture.hpp"
#include "models/units/error.hpp"

namespace moesim::testing {

/// `text` with "KEY": VALUE, replacing the key's line or added in front. An empty value removes the line.
inline std::string with(std::string text, const std::string& key, const std::string& value) {
  const std::string quoted = "\"" + key + "\": ";
  if (const auto at = text.find(quoted); at != std::string::npos) text.erase(at, text.find('\n', at) + 1 - at);
  if (!value.empty()) text.insert(2, quoted + value + ",\n");
  return text;
}

inline Architecture read_config(const std::string& text) {
  return parse_architecture(text, "c.json");
}

/// The refusal's text, "later ..." for what is not modelled yet, or "accepted".
inline std::string refusal(const std::string& text) {
  try {
    read_config(text);
  } catch (const NotModelledYet& error) {
    return std::string{"later "} + error.what();
  } catch (const InputError& error) {
    return error.what();
  }
  return "accepted";
}

// Every line ends with a comma but the last, model_type, which tests that change it rewrite in full.
inline const std::string kLlama =
    "{\n\"hidden_size\": 64,\n\"num_hidden_layers\": 2,\n\"vocab_size\": 100,\n\"num_attention_heads\": 4,\n"
    "\"intermediate_size\": 128,\n\"model_type\": \"llama\"}\n";

inline const std::string kMixtral =
    "{\n\"hidden_size\": 64,\n\"num_hidden_layers\": 2,\n\"vocab_size\": 100,\n\"num_attention_heads\": 4,\n"
    "\"num_key_value_heads\": 2,\n\"intermediate_size\": 128,\n\"max_position_embeddings\": 512,\n"
    "\"num_local_experts\": 8,\n\"num_experts_per_tok\": 2,\n\"model_type\": \"mixtral\"}\n";

inline const std::string kQwen3Moe =
    "{\n\"hidden_size\": 64,\n\"num_hidden_layers\": 6,\n\"vocab_size\": 100,\n\"num_attention_heads\": 4,\n"
    "\"num_key_value_heads\": 2,\n\"intermediate_size\": 128,\n\"max_position_embeddings\": 512,\n"
    "\"num_experts\": 8,\n\"num_experts_per_tok\": 2,\n\"moe_intermediate_size\": 32,\n\"model_type\": "
    "\"qwen3_moe\"}\n";

inline const std::string kDeepseekV3 =
    "{\n\"hidden_size\": 64,\n\"num_hidden_layers\": 6,\n\"vocab_size\": 100,\n\"num_attention_heads\": 4,\n"
    "\"q_lora_rank\": 24,\n\"kv_lora_rank\": 16,\n\"qk_nope_head_dim\": 8,\n\"qk_rope_head_dim\": 4,\n"
    "\"v_head_dim\": 8,\n\"intermediate_size\": 128,\n\"max_position_embeddings\": 512,\n"
    "\"first_k_dense_replace\": 1,\n\"n_routed_experts\": 16,\n\"num_experts_per_tok\": 4,\n"
    "\"moe_intermediate_size\": 32,\n\"n_shared_experts\": 1,\n\"n_group\": 4,\n\"topk_group\": 2,\n"
    "\"model_type\": \"deepseek_v3\"}\n";

}  // namespace moesim::testing
