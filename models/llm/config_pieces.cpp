#include <algorithm>
#include <cstdint>

#include <fmt/format.h>

#include "models/llm/model_classes.hpp"

namespace moesim {
namespace {

constexpr int kMostLayers = 10'000;
constexpr int kMostExperts = 100'000;

/// Only models with a language-model head: a classifier has other tensors at its end.
void check_architectures(const ConfigReader& config) {
  for (const std::string& name : config.texts("architectures"))
    if (!name.ends_with("ForCausalLM")) config.not_modelled("architectures", "a ...ForCausalLM");
}

/// Rotating positions costs the same whatever stretches them; only the names are checked.
void check_rope(ConfigReader& config, const std::string& section) {
  if (!config.is_object(section)) return;
  config.know_section(section, {"type", "rope_type", "rope_theta", "factor", "original_max_position_embeddings",
                                "beta_fast", "beta_slow", "mscale", "mscale_all_dim", "low_freq_factor",
                                "high_freq_factor", "attention_factor", "truncate", "short_factor", "long_factor"});
  const std::string kind = config.has(section + ".type") ? ".type" : ".rope_type";
  config.word(section + kind, {"default", "linear", "dynamic", "yarn", "longrope", "llama3"});
}

void check_activation(ConfigReader& config) {
  const std::string activation = config.text_or("hidden_act", "silu", "of the model class");
  if (activation != "silu" && activation != "swish") config.not_modelled("hidden_act", "silu");
}

/// Layers kept in bf16 must be those that are bf16 here anyway: norms, routers, embedding and head.
void check_unconverted(const ConfigReader& config) {
  constexpr std::string_view kKey = "quantization_config.modules_to_not_convert";
  for (const std::string& name : config.texts(kKey)) {
    const bool stays_bf16 =
        name.ends_with("norm") || name.ends_with("gate") || name.ends_with("lm_head") || name.ends_with("embed_tokens");
    if (!stays_bf16) config.not_modelled(kKey, "norms, routers (gate), embed_tokens and lm_head there");
  }
}

NumberFormat read_quantisation(ConfigReader& config) {
  const std::string method = config.text_or("quantization_config.quant_method", "", "none");
  if (method.empty()) config.refuse("quantization_config.quant_method", "fp8");
  if (method != "fp8") config.not_modelled("quantization_config.quant_method", "fp8, or a config without quantization");
  config.know_section("quantization_config", {"quant_method", "fmt", "activation_scheme", "weight_block_size",
                                              "modules_to_not_convert", "scale_fmt"});
  check_unconverted(config);
  const std::vector<int> block = config.numbers("quantization_config.weight_block_size");
  if (block.empty()) return NumberFormat::fp8;
  if (block != std::vector<int>{128, 128}) config.not_modelled("quantization_config.weight_block_size", "[128,128]");
  return NumberFormat::fp8_block;
}

NumberFormat read_checkpoint_format(ConfigReader& config) {
  const bool new_name = config.has("dtype") && !config.has("torch_dtype");  // since transformers 4.56
  const std::string_view key = new_name ? "dtype" : "torch_dtype";
  const std::string type = config.text_or(key, "bfloat16", "the file names no number type");
  if (type != "bfloat16" && type != "float16") config.not_modelled(key, "bfloat16 or float16");
  return config.is_object("quantization_config") ? read_quantisation(config) : NumberFormat::bf16;
}

}  // namespace

const std::vector<std::string_view>& common_keys() {
  static const std::vector<std::string_view> kKeys{"architectures",
                                                   "model_type",
                                                   "hidden_size",
                                                   "num_hidden_layers",
                                                   "vocab_size",
                                                   "torch_dtype",
                                                   "dtype",
                                                   "hidden_act",
                                                   "tie_word_embeddings",
                                                   "max_position_embeddings",
                                                   "rope_scaling",
                                                   "quantization_config",
                                                   "rope_parameters",
                                                   "num_attention_heads",
                                                   "num_key_value_heads"};
  return kKeys;
}

const std::vector<std::string_view>& common_keys_without_influence() {
  static const std::vector<std::string_view> kKeys{
      "attention_dropout",    "bos_token_id", "eos_token_id",         "pad_token_id", "initializer_range",
      "rms_norm_eps",         "rope_theta",   "transformers_version", "use_cache",    "pretraining_tp",
      "output_hidden_states", "auto_map",     "output_attentions",    "return_dict",  "is_encoder_decoder"};
  return kKeys;
}

Architecture read_common(ConfigReader& config) {
  check_architectures(config);
  check_activation(config);
  check_rope(config, "rope_scaling");
  check_rope(config, "rope_parameters");
  Architecture model;
  model.model_type = config.text_or("model_type", "", "");
  model.hidden = config.size("hidden_size");
  model.layers = config.size("num_hidden_layers", 1, kMostLayers);
  model.vocab = config.size("vocab_size");
  model.tied_embedding = config.flag_or("tie_word_embeddings", false, "of the model class");
  if (model.model_type == "llama") {
    model.max_context = config.size_or("max_position_embeddings", 2048, "of the model class");
  } else {
    model.max_context = config.size("max_position_embeddings");
  }
  model.checkpoint_format = read_checkpoint_format(config);
  model.moe_layer.assign(static_cast<std::size_t>(model.layers), false);
  model.attention.heads = config.size("num_attention_heads");
  return model;
}

void read_grouped_attention(ConfigReader& config, const GroupedAttentionDefaults& defaults, Architecture& model) {
  AttentionSpec& a = model.attention;
  a.kv_heads = defaults.kv_heads_are_heads ? config.size_or("num_key_value_heads", a.heads, "num_attention_heads")
                                           : config.size("num_key_value_heads");
  if (a.heads % a.kv_heads != 0)
    config.refuse("num_key_value_heads", fmt::format("a divisor of num_attention_heads = {}", a.heads));
  if (config.has("head_dim")) {
    a.head_dim = config.size("head_dim");
  } else if (defaults.head_dim > 0) {
    a.head_dim = config.size_or("head_dim", defaults.head_dim, "of the model class");
  } else if (model.hidden % a.heads == 0) {
    a.head_dim = config.size_or("head_dim", model.hidden / a.heads, "hidden_size / num_attention_heads");
  } else {
    config.refuse("hidden_size",
                  fmt::format("a multiple of num_attention_heads = {}, as there is no head_dim", a.heads));
  }
  if (std::int64_t{a.heads} * a.head_dim > kLargestSize)
    config.refuse("num_attention_heads",
                  fmt::format("at most {} = {} / head_dim", kLargestSize / a.head_dim, kLargestSize));
  a.bias = defaults.has_bias_key && config.flag_or("attention_bias", false, "of the model class");
}

void read_experts(ConfigReader& config, std::string_view experts_key, std::string_view hidden_key, int shared,
                  Architecture& model) {
  MoeSpec moe;
  moe.experts = config.size(experts_key, 1, kMostExperts);
  moe.top_k = config.size("num_experts_per_tok");
  if (moe.top_k > moe.experts)
    config.refuse("num_experts_per_tok", fmt::format("at most {} = {}", experts_key, moe.experts));
  moe.expert_hidden = config.size(hidden_key);
  if (std::int64_t{shared} * moe.expert_hidden > kLargestSize)
    config.refuse("n_shared_experts",
                  fmt::format("at most {} = {} / {}", kLargestSize / moe.expert_hidden, kLargestSize, hidden_key));
  moe.shared_hidden = shared * moe.expert_hidden;
  model.moe = moe;
}

void check_no_windows(ConfigReader& config, const Architecture& model) {
  config.only_flag("use_sliding_window", false);
  const std::vector<std::string> kinds = config.texts("layer_types");
  for (const std::string& kind : kinds)
    if (kind != "full_attention") config.not_modelled("layer_types", "full_attention in every layer");
  if (!kinds.empty() && kinds.size() != static_cast<std::size_t>(model.layers))
    config.refuse("layer_types", fmt::format("one entry for each of num_hidden_layers = {}", model.layers));
}

}  // namespace moesim
