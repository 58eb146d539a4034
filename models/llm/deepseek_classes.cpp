// DeepSeek, and the models that took its layers over: Kimi-K2 (latent attention and all), GLM-4.5 (experts and MTP).

#include <fmt/format.h>

#include "models/llm/model_classes.hpp"

namespace moesim {
namespace {

/// DeepSeek's multi-head latent attention.
void read_latent_attention(ConfigReader& config, Architecture& model) {
  AttentionSpec& a = model.attention;
  a.kind = AttentionKind::mla;
  a.q_lora = config.is_null("q_lora_rank") ? 0 : config.size("q_lora_rank");
  a.kv_lora = config.size("kv_lora_rank");
  a.nope = config.size("qk_nope_head_dim");
  a.rope = config.size("qk_rope_head_dim");
  a.v_dim = config.size("v_head_dim");
  a.head_dim = a.nope + a.rope;
  a.kv_heads = config.size_or("num_key_value_heads", a.heads, "num_attention_heads");
  if (a.kv_heads != a.heads)
    config.refuse("num_key_value_heads",
                  fmt::format("num_attention_heads = {}: latent attention has no groups", a.heads));
  if (config.has("head_dim") && config.size("head_dim") != a.rope)
    config.refuse("head_dim", fmt::format("qk_rope_head_dim = {}", a.rope));
  if (config.has("qk_head_dim") && config.size("qk_head_dim") != a.head_dim)
    config.refuse("qk_head_dim", fmt::format("qk_nope_head_dim + qk_rope_head_dim = {}", a.head_dim));
  const std::int64_t widest = std::int64_t{a.heads} * (std::int64_t{a.head_dim} + a.v_dim);
  if (widest > kLargestSize)
    config.refuse("num_attention_heads", fmt::format("heads x (nope + rope + v) of at most {}", kLargestSize));
  config.only_flag("attention_bias", false);
}

void read_deepseek_experts(ConfigReader& config, Architecture& model) {
  const int shared = config.is_null("n_shared_experts") ? 0 : config.size("n_shared_experts", 0);
  read_experts(config, "n_routed_experts", "moe_intermediate_size", shared, model);
}

void only_word(ConfigReader& config, std::string_view key, const std::string& modelled) {
  if (config.text_or(key, modelled, kOfClass) != modelled) config.not_modelled(key, modelled);
}

/// Scores are sigmoids, an expert is chosen by score + bias, and groups count by their two best.
void read_biased_router(ConfigReader& config, double scale, bool may_lack_groups, Architecture& model) {
  RouterSpec& router = model.moe->router;
  router.score = RouterScore::sigmoid;
  router.selection_bias = true;
  if (config.has("n_group") || config.has("topk_group") || !may_lack_groups) {
    read_groups(config, GroupScore::top2_sum, *model.moe);
  } else {
    config.note_default("n_group", "1", kOfClass);
  }
  router.normalise_topk = config.flag_or("norm_topk_prob", true, kOfClass);
  router.scale = config.positive_number_or("routed_scaling_factor", scale, kOfClass);
}

/// The module's layer is one like the last.
void read_mtp(ConfigReader& config, Architecture& model) {
  model.mtp_layers = config.size_or("num_nextn_predict_layers", 0, "no MTP module named", 0);
  if (model.mtp_layers > 0 && !model.moe_layer.back()) config.not_modelled("moe_layer_freq", "1 with an MTP module");
}

/// The first DeepSeekMoE: plain attention.
Architecture read_deepseek(ConfigReader& config) {
  Architecture model = read_common(config);
  read_grouped_attention(config, {.kv_heads_are_heads = true}, model);
  read_leading_dense(config, true, model);
  read_deepseek_experts(config, model);
  only_word(config, "scoring_func", "softmax");
  model.moe->router.normalise_topk = config.flag_or("norm_topk_prob", false, kOfClass);
  return model;
}

Architecture read_deepseek_v2(ConfigReader& config) {
  Architecture model = read_common(config);
  read_latent_attention(config, model);
  read_leading_dense(config, true, model);
  read_deepseek_experts(config, model);
  RouterSpec& router = model.moe->router;
  only_word(config, "scoring_func", "softmax");
  if (config.word("topk_method", {"greedy", "group_limited_greedy"}) == "group_limited_greedy") {
    read_groups(config, GroupScore::max, *model.moe);
  } else {  // greedy does not look at groups
    if (config.has("n_group")) config.size("n_group");
    if (config.has("topk_group")) config.size("topk_group");
  }
  router.normalise_topk = config.flag_or("norm_topk_prob", false, kOfClass);
  router.scale = config.positive_number_or("routed_scaling_factor", 1.0, kOfClass);
  return model;
}

Architecture read_deepseek_v3(ConfigReader& config) {
  Architecture model = read_common(config);
  read_latent_attention(config, model);
  read_leading_dense(config, true, model);
  read_deepseek_experts(config, model);
  only_word(config, "scoring_func", "sigmoid");
  only_word(config, "topk_method", "noaux_tc");
  read_biased_router(config, 2.5, false, model);
  read_mtp(config, model);
  return model;
}

Architecture read_glm4_moe(ConfigReader& config) {
  Architecture model = read_common(config, {.max_context = 131072});
  read_grouped_attention(config, {.output_bias = false}, model);
  if (config.flag_or("use_qk_norm", false, kOfClass)) model.attention.qk_norm = QkNorm::head;
  read_leading_dense(config, false, model);
  read_deepseek_experts(config, model);
  only_word(config, "scoring_func", "sigmoid");
  only_word(config, "topk_method", "noaux_tc");
  read_biased_router(config, 1.0, true, model);
  read_mtp(config, model);
  return model;
}

const ConfigKeys kExperts{"moe_layer_freq",
                          "first_k_dense_replace",
                          "intermediate_size",
                          "n_shared_experts",
                          "n_routed_experts",
                          "num_experts_per_tok",
                          "moe_intermediate_size",
                          "scoring_func",
                          "norm_topk_prob",
                          "attention_bias",
                          "head_dim"};
const ConfigKeys kLatent{"q_lora_rank",      "kv_lora_rank", "qk_nope_head_dim",
                         "qk_rope_head_dim", "v_head_dim",   "qk_head_dim"};
const ConfigKeys kRouter{"topk_method", "n_group", "topk_group", "routed_scaling_factor"};

ConfigKeys joined(std::initializer_list<ConfigKeys> parts) {
  ConfigKeys all;
  for (const ConfigKeys& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

}  // namespace

std::vector<ModelClass> deepseek_classes() {
  const ConfigKeys training{"aux_loss_alpha", "seq_aux", "ep_size", "rope_interleave"};
  const ConfigKeys v3 = joined({kExperts, kLatent, kRouter, {"num_nextn_predict_layers"}});
  ConfigKeys glm = joined({kExperts, kRouter, {"num_nextn_predict_layers", "use_qk_norm"}});
  std::erase(glm, "moe_layer_freq");
  return {
      {"deepseek_v2", joined({kExperts, kLatent, kRouter}), training, read_deepseek_v2},
      {"deepseek_v3", v3, training, read_deepseek_v3},
      {"kimi_k2", v3, training, read_deepseek_v3},
      {"glm4_moe", glm, {"output_router_logits", "router_aux_loss_coef"}, read_glm4_moe},
      {"deepseek", kExperts, training, read_deepseek},
  };
}

}  // namespace moesim
