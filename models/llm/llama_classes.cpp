// Llama and Mistral, dense and with experts.

#include <fmt/format.h>

#include "models/llm/model_classes.hpp"

namespace moesim {
namespace {

Architecture read_llama(ConfigReader& config) {
  Architecture model = read_common(config, {.max_context = 2048});
  read_grouped_attention(config, {.kv_heads_are_heads = true}, model);
  config.only_flag("mlp_bias", false);
  model.dense_hidden = config.size("intermediate_size");
  return model;
}

Architecture read_mistral(ConfigReader& config) {
  Architecture model = read_common(config);
  read_grouped_attention(config, {.has_bias_key = false}, model);
  read_window_everywhere(config, model);
  model.dense_hidden = config.size("intermediate_size");
  return model;
}

Architecture read_mixtral(ConfigReader& config) {
  Architecture model = read_common(config);
  read_grouped_attention(config, {.has_bias_key = false}, model);
  read_window_everywhere(config, model);
  model.moe_layer.assign(model.moe_layer.size(), true);
  read_experts(config, "num_local_experts", "intermediate_size", 0, model);
  return model;
}

/// Every layer with RoPE attends to its own chunk; every fourth, without RoPE, to everything.
void read_chunks(ConfigReader& config, Architecture& model) {
  const int every = config.size_or("no_rope_layer_interval", 4, kOfClass);
  const std::vector<int> listed = config.numbers("no_rope_layers");  // 1: the layer has RoPE
  if (!listed.empty() && listed.size() != static_cast<std::size_t>(model.layers))
    config.refuse("no_rope_layers", fmt::format("one entry for each of num_hidden_layers = {}", model.layers));
  std::vector<bool> rope;
  for (int i = 0; i < model.layers; ++i)
    rope.push_back(listed.empty() ? (i + 1) % every != 0 : listed[static_cast<std::size_t>(i)] != 0);
  if (const std::vector<bool> kinds = read_layer_types(config, "chunked_attention", model);
      !kinds.empty() && kinds != rope)
    config.not_modelled("layer_types", "chunked_attention exactly where a layer has RoPE");
  if (config.is_null("attention_chunk_size")) config.not_modelled("attention_chunk_size", "a number of tokens");
  model.attention.window = config.size_or("attention_chunk_size", 8192, kOfClass);
  model.attention.chunked = true;
  model.attention.rope_in_windows_only = true;
  model.windowed_layer = std::move(rope);
}

/// Layers step - 1, 2 step - 1 ... are MoE.
void read_interleaved_experts(ConfigReader& config, Architecture& model) {
  const int step = config.size_or("interleave_moe_layer_step", 1, kOfClass);
  const std::vector<int> listed = config.numbers("moe_layers");
  for (int i = 0; i < model.layers; ++i) model.moe_layer[static_cast<std::size_t>(i)] = (i + 1) % step == 0;
  if (!listed.empty()) {
    model.moe_layer.assign(model.moe_layer.size(), false);
    for (const int layer : listed) {
      if (layer >= model.layers)
        config.refuse("moe_layers", fmt::format("layers below num_hidden_layers = {}", model.layers));
      model.moe_layer[static_cast<std::size_t>(layer)] = true;
    }
  }
  if (model.moe_layers() == 0) config.refuse("interleave_moe_layer_step", "a MoE layer left");
  read_dense_width(config, "intermediate_size_mlp", model);
  read_experts(config, "num_local_experts", "intermediate_size", 1, model);  // one shared expert, as wide
  model.moe->router.score = RouterScore::sigmoid;
  model.moe->router.normalise_topk = false;
}

Architecture read_llama4(ConfigReader& config) {
  Architecture model = read_common(config, {.max_context = 131072});
  read_grouped_attention(config, {.head_dim = 128}, model);
  read_chunks(config, model);
  if (config.flag_or("use_qk_norm", true, kOfClass)) model.attention.qk_norm = QkNorm::unweighted;
  read_interleaved_experts(config, model);
  return model;
}

const ConfigKeys kLlama4Keys{"head_dim",
                             "attention_bias",
                             "no_rope_layer_interval",
                             "no_rope_layers",
                             "layer_types",
                             "attention_chunk_size",
                             "use_qk_norm",
                             "interleave_moe_layer_step",
                             "moe_layers",
                             "intermediate_size_mlp",
                             "intermediate_size",
                             "num_local_experts",
                             "num_experts_per_tok"};
const ConfigKeys kLlama4WithoutInfluence{
    "output_router_logits", "router_aux_loss_coef", "router_jitter_noise", "attn_temperature_tuning",
    "cache_implementation", "floor_scale",          "attn_scale",          "for_llm_compressor"};

}  // namespace

std::vector<ModelClass> llama_classes() {
  return {
      {"mixtral",
       {"head_dim", "sliding_window", "num_local_experts", "intermediate_size", "num_experts_per_tok"},
       {"output_router_logits", "router_aux_loss_coef", "router_jitter_noise"},
       read_mixtral},
      {"llama", {"head_dim", "attention_bias", "mlp_bias", "intermediate_size"}, {}, read_llama},
      {"mistral", {"head_dim", "sliding_window", "intermediate_size"}, {}, read_mistral},
      {"llama4",
       kLlama4Keys,
       kLlama4WithoutInfluence,
       read_llama4,
       {},
       "text_config",
       {"boi_token_index", "eoi_token_index", "image_token_index", "torch_dtype", "dtype"}},
      {"llama4_text", kLlama4Keys, kLlama4WithoutInfluence, read_llama4},
  };
}

}  // namespace moesim
