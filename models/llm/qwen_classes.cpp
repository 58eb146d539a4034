// Qwen2 and Qwen3, dense and with experts.

#include "models/llm/model_classes.hpp"

namespace moesim {
namespace {

Architecture read_qwen2(ConfigReader& config) {
  Architecture model = read_common(config, {.max_context = 32768});
  read_grouped_attention(config, {.has_bias_key = false}, model);
  model.attention.bias = true;  // of q, k and v
  check_no_windows(config, model);
  model.dense_hidden = config.size("intermediate_size");
  return model;
}

Architecture read_qwen3(ConfigReader& config) {
  Architecture model = read_common(config);
  read_grouped_attention(config, {.head_dim = 128}, model);
  model.attention.qk_norm = QkNorm::head;
  check_no_windows(config, model);
  model.dense_hidden = config.size("intermediate_size");
  return model;
}

void read_qwen_experts(ConfigReader& config, Architecture& model) {
  read_sparse_steps(config, model);
  read_experts(config, "num_experts", "moe_intermediate_size", 0, model);
  model.moe->router.normalise_topk = config.flag_or("norm_topk_prob", false, kOfClass);
  read_dense_width(config, "intermediate_size", model);
}

/// One expert for all tokens, scaled by a sigmoid of the token.
Architecture read_qwen2_moe(ConfigReader& config) {
  Architecture model = read_common(config, {.max_context = 32768});
  read_grouped_attention(config, {.has_bias_key = false}, model);
  model.attention.bias = config.flag_or("qkv_bias", true, kOfClass);
  check_no_windows(config, model);
  read_qwen_experts(config, model);
  model.moe->shared_hidden = config.size("shared_expert_intermediate_size");
  model.moe->shared_gate = true;
  return model;
}

Architecture read_qwen3_moe(ConfigReader& config) {
  Architecture model = read_common(config);
  read_grouped_attention(config, {}, model);
  model.attention.qk_norm = QkNorm::head;
  config.only_flag("use_qk_norm", true);
  config.only_flag("qkv_bias", false);
  check_no_windows(config, model);
  read_qwen_experts(config, model);
  if (config.has("shared_expert_intermediate_size") && config.size("shared_expert_intermediate_size", 0) > 0)
    config.not_modelled("shared_expert_intermediate_size", "0");
  return model;
}

ConfigKeys expert_keys(ConfigKeys more) {
  for (const char* key : {"head_dim", "use_sliding_window", "layer_types", "decoder_sparse_step", "mlp_only_layers",
                          "num_experts", "num_experts_per_tok", "moe_intermediate_size", "norm_topk_prob",
                          "shared_expert_intermediate_size", "intermediate_size", "qkv_bias"})
    more.emplace_back(key);
  return more;
}

}  // namespace

std::vector<ModelClass> qwen_classes() {
  const ConfigKeys windows{"sliding_window", "max_window_layers"};
  const ConfigKeys moe{"output_router_logits", "router_aux_loss_coef", "sliding_window", "max_window_layers"};
  return {
      {"qwen3_moe", expert_keys({"attention_bias", "use_qk_norm"}), moe, read_qwen3_moe},
      {"qwen2_moe", expert_keys({}), moe, read_qwen2_moe},
      {"qwen3",
       {"head_dim", "attention_bias", "use_sliding_window", "layer_types", "intermediate_size"},
       windows,
       read_qwen3},
      {"qwen2", {"head_dim", "use_sliding_window", "layer_types", "intermediate_size"}, windows, read_qwen2},
  };
}

}  // namespace moesim
