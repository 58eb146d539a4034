// T5 and Switch Transformers: an encoder and a decoder, FFNs of two matrices, relative position biases.

#include <fmt/format.h>

#include "models/llm/model_classes.hpp"

namespace moesim {
namespace {

/// Positions have no limit; T5 was trained on 512.
constexpr int kTrainedContext = 512;

Architecture read_stacks(ConfigReader& config, const std::string& activation) {
  Architecture model = read_common(config, {.max_context = kTrainedContext,
                                            .tied = true,
                                            .activation = activation,
                                            .architecture = "ForConditionalGeneration",
                                            .may_be_float32 = true});
  EncoderSpec encoder;
  encoder.layers = model.layers;
  encoder.moe_layer.assign(model.moe_layer.size(), false);
  model.encoder = encoder;
  if (config.has("num_decoder_layers")) {
    model.layers = config.size("num_decoder_layers", 1, kMostLayers);
  } else {
    config.note_default("num_decoder_layers", std::to_string(model.layers), "num_layers");
  }
  model.moe_layer.assign(static_cast<std::size_t>(model.layers), false);
  read_grouped_attention(config, {.kv_heads_are_heads = true, .head_dim = 64, .has_bias_key = false}, model);
  if (model.attention.kv_heads != model.attention.heads)
    config.refuse("num_key_value_heads", fmt::format("num_heads = {}", model.attention.heads));
  model.attention.relative_buckets = config.size_or("relative_attention_num_buckets", 32, kOfClass);
  return model;
}

/// feed_forward_proj is "relu", or "gated-gelu" in T5 1.1.
Architecture read_t5(ConfigReader& config) {
  const std::string projection = config.text_or("feed_forward_proj", "relu", kOfClass);
  if (projection != "relu" && projection != "gated-gelu")
    config.not_modelled("feed_forward_proj", "relu or gated-gelu");
  Architecture model = read_stacks(config, projection == "relu" ? "relu" : "gelu_new");
  model.gated = projection == "gated-gelu";
  model.dense_hidden = config.size("d_ff");
  return model;
}

/// `sparse` of the stack's layers are MoE: layer i with i % step == 1, step = layers / sparse; all when step is 1.
std::vector<bool> read_sparse(ConfigReader& config, std::string_view key, int layers) {
  const int sparse = config.size_or(key, 3, kOfClass, 0);
  if (sparse > layers) config.refuse(key, fmt::format("at most the {} layers of the stack", layers));
  std::vector<bool> moe(static_cast<std::size_t>(layers), false);
  if (sparse == 0) return moe;
  const int step = layers / sparse;
  for (int i = 0; i < layers; ++i) moe[static_cast<std::size_t>(i)] = step == 1 || i % step == 1;
  return moe;
}

Architecture read_switch(ConfigReader& config) {
  Architecture model = read_stacks(config, "relu");
  model.gated = false;
  model.encoder->moe_layer = read_sparse(config, "num_sparse_encoder_layers", model.encoder->layers);
  model.moe_layer = read_sparse(config, "num_sparse_decoder_layers", model.layers);
  if (model.moe_layers() == 0) config.refuse("num_sparse_decoder_layers", "a MoE layer in the decoder");
  if (config.has("num_experts_per_tok") && config.size("num_experts_per_tok") != 1)
    config.not_modelled("num_experts_per_tok", "1: a switch has one way out");
  model.dense_hidden = config.size("d_ff");
  MoeSpec moe;
  moe.experts = config.size("num_experts", 1, kMostExperts);
  moe.top_k = 1;
  moe.expert_hidden = model.dense_hidden;
  moe.router.bias = config.flag_or("router_bias", false, kOfClass);
  moe.router.normalise_topk = false;
  model.moe = moe;
  return model;
}

const std::vector<std::pair<std::string_view, std::string_view>> kRenames{
    {"hidden_size", "d_model"}, {"num_hidden_layers", "num_layers"},        {"num_attention_heads", "num_heads"},
    {"head_dim", "d_kv"},       {"max_position_embeddings", "n_positions"}, {"hidden_act", "dense_act_fn"}};

ConfigKeys bookkeeping(ConfigKeys more) {
  for (const char* key : {"relative_attention_max_distance", "dropout_rate", "layer_norm_epsilon", "initializer_factor",
                          "is_gated_act", "output_past", "classifier_dropout"})
    more.emplace_back(key);
  return more;
}

}  // namespace

std::vector<ModelClass> encoder_decoder_classes() {
  return {
      {"t5",
       {"head_dim", "num_decoder_layers", "relative_attention_num_buckets", "feed_forward_proj", "d_ff"},
       bookkeeping({}),
       read_t5,
       kRenames},
      {"switch_transformers",
       {"head_dim", "num_decoder_layers", "relative_attention_num_buckets", "num_sparse_encoder_layers",
        "num_sparse_decoder_layers", "num_experts_per_tok", "num_experts", "d_ff", "router_bias"},
       bookkeeping({"feed_forward_proj", "expert_capacity", "router_jitter_noise", "router_dtype",
                    "router_ignore_padding_tokens", "router_z_loss_coef", "router_aux_loss_coef", "router_type",
                    "add_router_probs", "encoder_sparse_step", "decoder_sparse_step"}),
       read_switch,
       kRenames},
  };
}

}  // namespace moesim
