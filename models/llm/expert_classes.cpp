// Other decoders with experts, each with its own names and additions.

#include <fmt/format.h>

#include "models/llm/model_classes.hpp"

namespace moesim {
namespace {

void all_layers_moe(Architecture& model) {
  model.moe_layer.assign(model.moe_layer.size(), true);
}

/// Every second layer, the first included, slides over a window.
void read_sliding_layers(ConfigReader& config, Architecture& model) {
  model.attention.window = config.size_or("sliding_window", 128, kOfClass);
  model.windowed_layer = read_layer_types(config, "sliding_attention", model);
  if (!model.windowed_layer.empty()) return;
  config.note_default("layer_types", "sliding_attention and full_attention in turn", kOfClass);
  for (int i = 0; i < model.layers; ++i) model.windowed_layer.push_back(i % 2 == 0);
}

Architecture read_gpt_oss(ConfigReader& config) {
  Architecture model = read_common(config, {.max_context = 131072});
  read_grouped_attention(config, {.head_dim = 64, .has_bias_key = false}, model);
  model.attention.bias = model.attention.output_bias = config.flag_or("attention_bias", true, kOfClass);
  model.attention.sinks = true;
  read_sliding_layers(config, model);
  all_layers_moe(model);
  read_experts(config, "num_local_experts", "intermediate_size", 0, model);
  if (config.has("experts_per_token") && config.size("experts_per_token") != model.moe->top_k)
    config.refuse("experts_per_token", fmt::format("num_experts_per_tok = {}", model.moe->top_k));
  model.moe->bias = model.moe->router.bias = true;
  return model;
}

Architecture read_minimax_m2(ConfigReader& config) {
  Architecture model = read_common(config);
  read_grouped_attention(config, {}, model);
  if (config.flag_or("use_qk_norm", true, kOfClass)) model.attention.qk_norm = QkNorm::full;
  if (config.text_or("qk_norm_type", "per_layer", kOfClass) != "per_layer")
    config.not_modelled("qk_norm_type", "per_layer");
  for (const int kind : config.numbers("attn_type_list"))
    if (kind != 1) config.not_modelled("attn_type_list", "1 (softmax attention) in every layer");
  read_window_everywhere(config, model);
  if (config.has("shared_intermediate_size") && config.size("shared_intermediate_size", 0) > 0)
    config.not_modelled("shared_intermediate_size", "0");
  all_layers_moe(model);
  read_experts(config, "num_local_experts", "intermediate_size", 0, model);
  RouterSpec& router = model.moe->router;
  if (config.text_or("scoring_func", "sigmoid", kOfClass) != "sigmoid") config.not_modelled("scoring_func", "sigmoid");
  router.score = RouterScore::sigmoid;
  router.selection_bias = config.flag_or("use_routing_bias", true, kOfClass);
  if (config.has("num_mtp_modules") && config.size("num_mtp_modules", 0) > 0)
    config.leave_out("num_mtp_modules", "the released weights have none, and their layers are not published");
  return model;
}

Architecture read_olmoe(ConfigReader& config) {
  Architecture model = read_common(config, {.max_context = 4096});
  read_grouped_attention(config, {.kv_heads_are_heads = true}, model);
  model.attention.qk_norm = QkNorm::full;
  all_layers_moe(model);
  read_experts(config, "num_experts", "intermediate_size", 0, model);
  model.moe->router.normalise_topk = config.flag_or("norm_topk_prob", false, kOfClass);
  return model;
}

/// LayerNorms with biases; sparsemixer weighs its two experts one by one.
Architecture read_phimoe(ConfigReader& config) {
  Architecture model = read_common(config, {.max_context = 131072});
  read_grouped_attention(config, {}, model);
  read_window_everywhere(config, model);
  model.norm_bias = true;
  model.head_bias = config.flag_or("lm_head_bias", false, kOfClass);
  all_layers_moe(model);
  read_experts(config, "num_local_experts", "intermediate_size", 0, model);
  model.moe->router.normalise_topk = false;
  return model;
}

Architecture read_dbrx(ConfigReader& config) {
  for (const char* section : {"attn_config", "ffn_config"})
    if (!config.is_object(section)) config.refuse(section, "an object");
  ConfigKeys attention{"kv_n_heads", "clip_qkv", "rope_theta", "attn_pdrop", "tie_word_embeddings", "torch_dtype"};
  ConfigKeys ffn{"ffn_hidden_size",
                 "ffn_act_fn",
                 "moe_num_experts",
                 "moe_top_k",
                 "moe_jitter_eps",
                 "moe_loss_weight",
                 "moe_normalize_expert_weights",
                 "uniform_expert_assignment",
                 "tie_word_embeddings",
                 "torch_dtype"};
  for (ConfigKeys* keys : {&attention, &ffn})
    for (const ConfigKeys& more : {common_keys_without_influence(), ConfigKeys{"architectures", "model_type"}})
      keys->insert(keys->end(), more.begin(), more.end());
  config.know_section("attn_config", attention);
  config.know_section("ffn_config", ffn);

  Architecture model = read_common(config);
  read_grouped_attention(config, {.has_bias_key = false}, model);
  config.only_flag("ffn_config.uniform_expert_assignment", false);
  all_layers_moe(model);
  read_experts(config, "ffn_config.moe_num_experts", "ffn_config.ffn_hidden_size", 0, model, "ffn_config.moe_top_k");
  model.moe->router.normalise_topk = !config.is_null("ffn_config.moe_normalize_expert_weights");
  return model;
}

/// Source: model.py of xai-org/grok-1: a norm before and after attention and experts, the head is the embedding, and
/// ffn_size(d, w) = int(w d) 2 // 3, rounded up to a multiple of 8.
Architecture read_grok(ConfigReader& config) {
  Architecture model = read_common(config, {.max_context = 8192, .tied = true, .activation = "gelu"});
  read_grouped_attention(config, {.has_bias_key = false}, model);
  model.norms_per_layer = 4;
  all_layers_moe(model);
  read_experts(config, "num_experts", "intermediate_size", 0, model);
  model.moe->router.normalise_topk = false;
  if (config.has("widening_factor")) {
    const std::int64_t width = std::int64_t{config.size("widening_factor")} * model.hidden * 2 / 3;
    if ((width + 7) / 8 * 8 != model.moe->expert_hidden)
      config.refuse("intermediate_size", fmt::format("{}, as widening_factor says", (width + 7) / 8 * 8));
  }
  return model;
}

/// Layer i is MoE when start <= i <= end and (i + 1) % interval == 0.
void read_ernie_layers(ConfigReader& config, Architecture& model) {
  const int first = config.size_or("moe_layer_start_index", 1, kOfClass, 0);
  const int every = config.size_or("moe_layer_interval", 1, kOfClass);
  const bool to_the_end = !config.has("moe_layer_end_index") || config.found("moe_layer_end_index") == "-1";
  const int last = to_the_end ? model.layers - 1 : config.size("moe_layer_end_index", 0);
  for (int i = 0; i < model.layers; ++i)
    model.moe_layer[static_cast<std::size_t>(i)] = i >= first && i <= last && (i + 1) % every == 0;
  if (model.moe_layers() == 0) config.refuse("moe_layer_start_index", "a MoE layer left");
  read_dense_width(config, "intermediate_size", model);
}

Architecture read_ernie(ConfigReader& config) {
  Architecture model = read_common(config, {.max_context = 131072, .tied = true});
  read_grouped_attention(config, {.has_bias_key = false}, model);
  config.only_flag("use_bias", false);
  read_ernie_layers(config, model);
  const int shared = config.is_null("moe_num_shared_experts") ? 0 : config.size("moe_num_shared_experts", 0);
  read_experts(config, "moe_num_experts", "moe_intermediate_size", shared, model, "moe_k");
  model.moe->router.selection_bias = true;  // moe_statics.e_score_correction_bias
  if (config.has("num_nextn_predict_layers") && config.size("num_nextn_predict_layers", 0) > 0)
    config.leave_out("num_nextn_predict_layers", "the class ignores the MTP module");
  return model;
}

ModelClass dbrx() {
  return {"dbrx",
          {"attn_config", "ffn_config"},
          {"emb_pdrop", "resid_pdrop", "output_router_logits", "router_aux_loss_coef"},
          read_dbrx,
          {{"hidden_size", "d_model"},
           {"num_hidden_layers", "n_layers"},
           {"num_attention_heads", "n_heads"},
           {"num_key_value_heads", "attn_config.kv_n_heads"},
           {"max_position_embeddings", "max_seq_len"},
           {"hidden_act", "ffn_config.ffn_act_fn.name"}}};
}

}  // namespace

std::vector<ModelClass> expert_classes() {
  return {
      {"gpt_oss",
       {"head_dim", "attention_bias", "sliding_window", "layer_types", "num_local_experts", "intermediate_size",
        "num_experts_per_tok", "experts_per_token"},
       {"output_router_logits", "router_aux_loss_coef", "swiglu_limit", "initial_context_length"},
       read_gpt_oss},
      {"minimax_m2",
       {"head_dim", "attention_bias", "use_qk_norm", "qk_norm_type", "attn_type_list", "sliding_window",
        "shared_intermediate_size", "num_local_experts", "intermediate_size", "num_experts_per_tok", "scoring_func",
        "use_routing_bias", "num_mtp_modules"},
       {"output_router_logits", "router_aux_loss_coef", "router_jitter_noise", "layernorm_full_attention_beta",
        "layernorm_linear_attention_beta", "layernorm_mlp_beta", "max_model_len", "mlp_intermediate_size",
        "mtp_transformer_layers", "use_mtp", "shared_moe_mode", "use_grouped_topk"},
       read_minimax_m2},
      {"olmoe",
       {"head_dim", "attention_bias", "num_experts", "intermediate_size", "num_experts_per_tok", "norm_topk_prob"},
       {"output_router_logits", "router_aux_loss_coef", "clip_qkv"},
       read_olmoe},
      {"phimoe",
       {"head_dim", "attention_bias", "sliding_window", "lm_head_bias", "num_local_experts", "intermediate_size",
        "num_experts_per_tok"},
       {"output_router_logits", "router_aux_loss_coef", "router_jitter_noise", "input_jitter_noise", "hidden_dropout",
        "original_max_position_embeddings"},
       read_phimoe},
      dbrx(),
      {"grok-1",
       {"head_dim", "num_experts", "intermediate_size", "num_experts_per_tok", "widening_factor"},
       {"attn_output_multiplier", "output_multiplier_scale", "embedding_multiplier_scale"},
       read_grok},
      {"ernie4_5_moe",
       {"head_dim", "use_bias", "intermediate_size", "moe_layer_start_index", "moe_layer_interval",
        "moe_layer_end_index", "moe_num_shared_experts", "moe_num_experts", "moe_intermediate_size", "moe_k",
        "num_nextn_predict_layers"},
       {"moe_capacity", "moe_gate", "moe_gate_act", "moe_use_aux_free", "moe_norm_min", "output_router_logits",
        "router_aux_loss_coef", "multi_token_pred_lambda"},
       read_ernie},
  };
}

}  // namespace moesim
