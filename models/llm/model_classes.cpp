#include "models/llm/model_classes.hpp"

#include <algorithm>
#include <set>

#include <fmt/format.h>

namespace moesim {
namespace {

// Class defaults below are those of the Hugging Face configuration classes; they are listed in Architecture::defaulted.
constexpr std::string_view kOfClass = "of the model class";

Architecture read_llama(ConfigReader& config) {
  Architecture model = read_common(config);
  read_grouped_attention(config, {.kv_heads_are_heads = true}, model);
  config.only_flag("mlp_bias", false);
  model.dense_hidden = config.size("intermediate_size");
  return model;
}

Architecture read_qwen3(ConfigReader& config) {
  Architecture model = read_common(config);
  read_grouped_attention(config, {.head_dim = 128}, model);
  model.attention.qk_norm = true;
  check_no_windows(config, model);
  model.dense_hidden = config.size("intermediate_size");
  return model;
}

Architecture read_mixtral(ConfigReader& config) {
  Architecture model = read_common(config);
  read_grouped_attention(config, {.has_bias_key = false}, model);
  if (config.has("sliding_window")) config.not_modelled("sliding_window", "full attention (null)");
  model.moe_layer.assign(model.moe_layer.size(), true);
  read_experts(config, "num_local_experts", "intermediate_size", 0, model);
  return model;
}

/// Layer i is MoE unless it is listed as dense or the step leaves it out: (i + 1) % decoder_sparse_step == 0.
void read_qwen3_moe_layers(ConfigReader& config, Architecture& model) {
  const int step = config.size_or("decoder_sparse_step", 1, kOfClass);
  const std::vector<int> listed = config.numbers("mlp_only_layers");
  const std::set<int> dense{listed.begin(), listed.end()};
  if (dense.size() != listed.size()) config.refuse("mlp_only_layers", "every layer at most once");
  if (!dense.empty() && *dense.rbegin() >= model.layers)
    config.refuse("mlp_only_layers", fmt::format("layers below num_hidden_layers = {}", model.layers));
  for (int i = 0; i < model.layers; ++i)
    model.moe_layer[static_cast<std::size_t>(i)] = (i + 1) % step == 0 && dense.count(i) == 0;
  if (model.moe_layers() == 0)
    config.refuse(dense.empty() ? "decoder_sparse_step" : "mlp_only_layers", "a MoE layer left");
}

Architecture read_qwen3_moe(ConfigReader& config) {
  Architecture model = read_common(config);
  read_grouped_attention(config, {}, model);
  model.attention.qk_norm = true;
  config.only_flag("use_qk_norm", true);
  config.only_flag("qkv_bias", false);
  check_no_windows(config, model);
  read_qwen3_moe_layers(config, model);
  read_experts(config, "num_experts", "moe_intermediate_size", 0, model);
  model.moe->router.normalise_topk = config.flag_or("norm_topk_prob", false, kOfClass);
  if (config.has("shared_expert_intermediate_size") && config.size("shared_expert_intermediate_size", 0) > 0)
    config.not_modelled("shared_expert_intermediate_size", "0");
  const bool has_dense = model.dense_layers() > 0;
  if (has_dense || config.has("intermediate_size")) {
    const int width = config.size("intermediate_size", has_dense ? 1 : 0);
    model.dense_hidden = has_dense ? width : 0;
  }
  return model;
}

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

/// Layer i is MoE when i >= first_k_dense_replace and i % moe_layer_freq == 0.
void read_deepseek_layers(ConfigReader& config, Architecture& model) {
  if (config.is_list("moe_layer_freq")) config.not_modelled("moe_layer_freq", "one number");
  const int every = config.size_or("moe_layer_freq", 1, kOfClass);
  const int first = config.size("first_k_dense_replace", 0);
  for (int i = 0; i < model.layers; ++i) model.moe_layer[static_cast<std::size_t>(i)] = i >= first && i % every == 0;
  if (model.moe_layers() == 0)
    config.refuse("first_k_dense_replace", fmt::format("a MoE layer left among num_hidden_layers = {}", model.layers));
  const bool has_dense = model.dense_layers() > 0;
  const int width =
      has_dense || config.has("intermediate_size") ? config.size("intermediate_size", has_dense ? 1 : 0) : 0;
  model.dense_hidden = has_dense ? width : 0;
}

/// groups of experts of which a token may use `kept`. One group is no limit.
void read_groups(ConfigReader& config, GroupScore score, MoeSpec& moe) {
  RouterSpec& router = moe.router;
  router.groups = config.size("n_group");
  router.kept_groups = config.size("topk_group");
  if (moe.experts % router.groups != 0)
    config.refuse("n_group", fmt::format("a divisor of n_routed_experts = {}", moe.experts));
  if (router.kept_groups > router.groups)
    config.refuse("topk_group", fmt::format("at most n_group = {}", router.groups));
  const int per_group = moe.experts / router.groups;
  if (moe.top_k > router.kept_groups * per_group)
    config.refuse("num_experts_per_tok", fmt::format("at most {}, the experts of topk_group = {} groups",
                                                     router.kept_groups * per_group, router.kept_groups));
  if (score == GroupScore::top2_sum && per_group < 2)
    config.refuse("n_group", "at least 2 experts in a group, whose two best scores are its score");
  router.group_score = router.groups > 1 ? score : GroupScore::none;
}

Architecture read_deepseek(ConfigReader& config) {
  Architecture model = read_common(config);
  read_latent_attention(config, model);
  read_deepseek_layers(config, model);
  const int shared = config.is_null("n_shared_experts") ? 0 : config.size("n_shared_experts", 0);
  read_experts(config, "n_routed_experts", "moe_intermediate_size", shared, model);
  return model;
}

Architecture read_deepseek_v2(ConfigReader& config) {
  Architecture model = read_deepseek(config);
  RouterSpec& router = model.moe->router;
  if (config.text_or("scoring_func", "softmax", kOfClass) != "softmax") config.not_modelled("scoring_func", "softmax");
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
  Architecture model = read_deepseek(config);
  RouterSpec& router = model.moe->router;
  router.score = RouterScore::sigmoid;
  router.selection_bias = true;
  if (config.text_or("scoring_func", "sigmoid", kOfClass) != "sigmoid") config.not_modelled("scoring_func", "sigmoid");
  if (config.text_or("topk_method", "noaux_tc", kOfClass) != "noaux_tc") config.not_modelled("topk_method", "noaux_tc");
  read_groups(config, GroupScore::top2_sum, *model.moe);
  router.normalise_topk = config.flag_or("norm_topk_prob", true, kOfClass);
  router.scale = config.positive_number_or("routed_scaling_factor", 2.5, kOfClass);
  model.mtp_layers = config.size_or("num_nextn_predict_layers", 0, "no MTP module named", 0);
  if (model.mtp_layers > 0 && !model.moe_layer.back())
    config.not_modelled("moe_layer_freq", "1 with an MTP module");  // its layer is one like the last
  return model;
}

const std::vector<std::string_view> kDeepseekKeys{"q_lora_rank",
                                                  "kv_lora_rank",
                                                  "qk_nope_head_dim",
                                                  "qk_rope_head_dim",
                                                  "v_head_dim",
                                                  "head_dim",
                                                  "qk_head_dim",
                                                  "attention_bias",
                                                  "moe_layer_freq",
                                                  "first_k_dense_replace",
                                                  "intermediate_size",
                                                  "n_shared_experts",
                                                  "n_routed_experts",
                                                  "num_experts_per_tok",
                                                  "moe_intermediate_size",
                                                  "scoring_func",
                                                  "topk_method",
                                                  "n_group",
                                                  "topk_group",
                                                  "norm_topk_prob",
                                                  "routed_scaling_factor"};

std::vector<std::string_view> with(std::vector<std::string_view> keys, std::string_view one_more) {
  keys.push_back(one_more);
  return keys;
}

}  // namespace

const std::vector<ModelClass>& model_classes() {
  static const std::vector<ModelClass> kClasses{
      {"mixtral",
       {"head_dim", "sliding_window", "num_local_experts", "intermediate_size", "num_experts_per_tok"},
       {"output_router_logits", "router_aux_loss_coef", "router_jitter_noise"},
       read_mixtral},
      {"deepseek_v2", kDeepseekKeys, {"aux_loss_alpha", "seq_aux", "ep_size"}, read_deepseek_v2},
      {"deepseek_v3",
       with(kDeepseekKeys, "num_nextn_predict_layers"),
       {"aux_loss_alpha", "seq_aux", "ep_size", "rope_interleave"},
       read_deepseek_v3},
      {"qwen3_moe",
       {"head_dim", "attention_bias", "use_qk_norm", "qkv_bias", "use_sliding_window", "layer_types",
        "decoder_sparse_step", "mlp_only_layers", "num_experts", "num_experts_per_tok", "moe_intermediate_size",
        "norm_topk_prob", "shared_expert_intermediate_size", "intermediate_size"},
       {"output_router_logits", "router_aux_loss_coef", "sliding_window", "max_window_layers"},
       read_qwen3_moe},
      {"llama", {"head_dim", "attention_bias", "mlp_bias", "intermediate_size"}, {}, read_llama},
      {"qwen3",
       {"head_dim", "attention_bias", "use_sliding_window", "layer_types", "intermediate_size"},
       {"sliding_window", "max_window_layers"},
       read_qwen3},
  };
  return kClasses;
}

const std::vector<std::string>& types_without_model() {
  static const std::vector<std::string> kTypes{"bailing_moe",
                                               "dbrx",
                                               "deepseek",
                                               "deepseek_v32",
                                               "deepseek_v4",
                                               "ernie4_5_moe",
                                               "gemma2",
                                               "gemma3",
                                               "glm4_moe",
                                               "gpt_oss",
                                               "grok-1",
                                               "hunyuan_v1_moe",
                                               "jamba",
                                               "kimi_k2",
                                               "llama4",
                                               "mimo_v2_flash",
                                               "minimax",
                                               "minimax_m1",
                                               "minimax_m2",
                                               "mistral",
                                               "nemotron_h",
                                               "olmoe",
                                               "phimoe",
                                               "qwen2",
                                               "qwen2_moe",
                                               "qwen3_5_moe",
                                               "qwen3_next",
                                               "step3",
                                               "switch_transformers",
                                               "t5"};
  return kTypes;
}

}  // namespace moesim
