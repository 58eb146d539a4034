#include <algorithm>
#include <cstdint>

#include <fmt/format.h>

#include "models/llm/model_classes.hpp"

namespace moesim {
namespace {

constexpr int kLongestContext = 1'000'000'000;

/// Only models with a language-model head: a classifier has other tensors at its end.
void check_architectures(const ConfigReader& config, std::string_view suffix) {
  for (const std::string& name : config.texts("architectures"))
    if (!name.ends_with(suffix)) config.not_modelled("architectures", fmt::format("a ...{}", suffix));
}

/// Rotating positions costs the same whatever stretches them; only the names are checked.
void check_rope(ConfigReader& config, const std::string& section) {
  if (!config.is_object(section)) return;
  config.know_section(
      section, {"type", "rope_type", "rope_theta", "factor", "original_max_position_embeddings", "beta_fast",
                "beta_slow", "mscale", "mscale_all_dim", "low_freq_factor", "high_freq_factor", "attention_factor",
                "truncate", "short_factor", "long_factor", "short_mscale", "long_mscale", "partial_rotary_factor"});
  const std::string kind = config.has(section + ".type") ? ".type" : ".rope_type";
  config.word(section + kind, {"default", "linear", "dynamic", "yarn", "longrope", "llama3"});
}

void check_activation(ConfigReader& config, const std::string& of_class) {
  const std::string activation = config.text_or("hidden_act", of_class, kOfClass);
  const bool silu = of_class == "silu" && activation == "swish";
  if (activation != of_class && !silu) config.not_modelled("hidden_act", of_class);
}

/// Layers kept in bf16 must be those that are bf16 here anyway: norms, routers, embedding and head.
void check_unconverted(const ConfigReader& config) {
  constexpr std::string_view kKey = "quantization_config.modules_to_not_convert";
  for (const std::string& name : config.texts(kKey)) {
    const bool stays_bf16 = name.ends_with("norm") || name.ends_with("gate") || name.ends_with("lm_head") ||
                            name.ends_with("embed_tokens") || name.ends_with("e_score_correction_bias");
    if (!stays_bf16) config.not_modelled(kKey, "norms, routers (gate), embed_tokens and lm_head there");
  }
}

/// gpt-oss: the routed experts alone are stored in mxfp4.
void check_only_experts_converted(const ConfigReader& config) {
  constexpr std::string_view kKey = "quantization_config.modules_to_not_convert";
  const std::vector<std::string> names = config.texts(kKey);
  for (const char* module : {"self_attn", "mlp.router", "embed_tokens", "lm_head"})
    if (std::none_of(names.begin(), names.end(), [&](const std::string& name) { return name.ends_with(module); }))
      config.not_modelled(kKey, "self_attn, mlp.router, embed_tokens and lm_head there");
}

void read_quantisation(ConfigReader& config, Architecture& model) {
  const std::string method = config.text_or("quantization_config.quant_method", "", "none");
  if (method.empty()) config.refuse("quantization_config.quant_method", "fp8 or mxfp4");
  if (method != "fp8" && method != "mxfp4")
    config.not_modelled("quantization_config.quant_method", "fp8, mxfp4, or a config without quantization");
  config.know_section("quantization_config", {"quant_method", "fmt", "activation_scheme", "weight_block_size",
                                              "modules_to_not_convert", "scale_fmt"});
  const std::vector<int> block = config.numbers("quantization_config.weight_block_size");
  if (method == "mxfp4") {
    check_only_experts_converted(config);
    model.checkpoint_experts = NumberFormat::mxfp4;
    return;
  }
  check_unconverted(config);
  if (!block.empty() && block != std::vector<int>{128, 128})
    config.not_modelled("quantization_config.weight_block_size", "[128,128]");
  model.checkpoint_format = block.empty() ? NumberFormat::fp8 : NumberFormat::fp8_block;
  model.checkpoint_experts = model.checkpoint_format;
}

/// float16 weights are taken as bf16, which has as many bits and the same rate everywhere.
void read_checkpoint_format(ConfigReader& config, bool may_be_float32, Architecture& model) {
  const bool new_name = config.has("dtype") && !config.has("torch_dtype");  // since transformers 4.56
  const std::string_view key = new_name ? "dtype" : "torch_dtype";
  const std::string type = config.text_or(key, "bfloat16", "the file names no number type");
  if (type == "float32" && may_be_float32) {
    config.leave_out(key, "float32 weights are taken as bf16");
  } else if (type != "bfloat16" && type != "float16") {
    config.not_modelled(key, "bfloat16 or float16");
  }
  if (config.is_object("quantization_config")) read_quantisation(config, model);
}

}  // namespace

const ConfigKeys& common_keys() {
  static const ConfigKeys kKeys{"architectures",
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

const ConfigKeys& common_keys_without_influence() {
  static const ConfigKeys kKeys{
      // numerics and positions; RoPE is counted on whole heads
      "attention_dropout", "initializer_range", "rms_norm_eps", "rope_theta", "partial_rotary_factor", "rotary_dim",
      // bookkeeping
      "transformers_version", "use_cache", "pretraining_tp", "auto_map", "is_encoder_decoder", "_name_or_path",
      // what every configuration class of the library can write: outputs, tokens, generation, tasks
      "output_hidden_states", "output_attentions", "output_scores", "return_dict", "return_dict_in_generate",
      "bos_token_id", "eos_token_id", "pad_token_id", "sep_token_id", "decoder_start_token_id", "forced_bos_token_id",
      "forced_eos_token_id", "suppress_tokens", "begin_suppress_tokens", "bad_words_ids", "prefix", "tokenizer_class",
      "do_sample", "early_stopping", "diversity_penalty", "length_penalty", "repetition_penalty", "temperature",
      "top_k", "top_p", "typical_p", "max_length", "min_length", "no_repeat_ngram_size", "encoder_no_repeat_ngram_size",
      "num_beams", "num_beam_groups", "num_return_sequences", "exponential_decay_length_penalty",
      "remove_invalid_values", "id2label", "label2id", "problem_type", "task_specific_params", "finetuning_task",
      "torchscript", "use_bfloat16", "tf_legacy_loss", "is_decoder", "add_cross_attention",
      "cross_attention_hidden_size", "tie_encoder_decoder", "chunk_size_feed_forward", "pruned_heads"};
  return kKeys;
}

Architecture read_common(ConfigReader& config, const CommonDefaults& defaults) {
  check_architectures(config, defaults.architecture);
  check_activation(config, defaults.activation);
  check_rope(config, "rope_scaling");
  check_rope(config, "rope_parameters");
  Architecture model;
  model.hidden = config.size("hidden_size");
  model.layers = config.size("num_hidden_layers", 1, kMostLayers);
  model.vocab = config.size("vocab_size");
  model.tied_embedding = config.flag_or("tie_word_embeddings", defaults.tied, kOfClass);
  model.max_context = defaults.max_context == 0 ? config.size("max_position_embeddings", 1, kLongestContext)
                                                : config.size_or("max_position_embeddings", defaults.max_context,
                                                                 kOfClass, 1, kLongestContext);
  read_checkpoint_format(config, defaults.may_be_float32, model);
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
    a.head_dim = config.size_or("head_dim", defaults.head_dim, kOfClass);
  } else if (model.hidden % a.heads == 0) {
    a.head_dim = config.size_or("head_dim", model.hidden / a.heads, "hidden_size / num_attention_heads");
  } else {
    config.refuse("hidden_size",
                  fmt::format("a multiple of num_attention_heads = {}, as there is no head_dim", a.heads));
  }
  if (std::int64_t{a.heads} * a.head_dim > kLargestSize)
    config.refuse("num_attention_heads",
                  fmt::format("at most {} = {} / head_dim", kLargestSize / a.head_dim, kLargestSize));
  a.bias = defaults.has_bias_key && config.flag_or("attention_bias", false, kOfClass);
  a.output_bias = a.bias && defaults.output_bias;
}

void read_experts(ConfigReader& config, std::string_view experts_key, std::string_view hidden_key, int shared,
                  Architecture& model, std::string_view top_k_key) {
  MoeSpec moe;
  moe.experts = config.size(experts_key, 1, kMostExperts);
  moe.top_k = config.size(top_k_key);
  if (moe.top_k > moe.experts) config.refuse(top_k_key, fmt::format("at most {} = {}", experts_key, moe.experts));
  moe.expert_hidden = config.size(hidden_key);
  if (std::int64_t{shared} * moe.expert_hidden > kLargestSize)
    config.refuse("n_shared_experts",
                  fmt::format("at most {} = {} / {}", kLargestSize / moe.expert_hidden, kLargestSize, hidden_key));
  moe.shared_hidden = shared * moe.expert_hidden;
  model.moe = moe;
}

}  // namespace moesim
