#include "models/llm/model_classes.hpp"

#include <algorithm>

namespace moesim {
namespace {

/// The names that `known` gives these keys; the ones it has in a section of its own are that section's matter.
ConfigKeys as_named(const ModelClass& known, ConfigKeys keys) {
  for (std::string_view& key : keys)
    for (const auto& [common, own] : known.renames)
      if (key == common) key = own;
  std::erase_if(keys, [](std::string_view key) { return key.find('.') != std::string_view::npos; });
  return keys;
}

ConfigKeys joined(ConfigKeys some, const ConfigKeys& more) {
  some.insert(some.end(), more.begin(), more.end());
  return some;
}

/// What stands beside the text model in a file for text and images.
void know_wrapper(ConfigReader& config, const ModelClass& known) {
  const ConfigKeys read{"architectures", "model_type",          "tie_word_embeddings",
                        "vision_config", "quantization_config", known.section};
  config.know(read, joined(known.beside_section, common_keys_without_influence()));
  for (const std::string& name : config.texts("architectures"))
    if (!name.ends_with("ForConditionalGeneration") && !name.ends_with("ForCausalLM"))
      config.not_modelled("architectures", "a ...ForConditionalGeneration or ...ForCausalLM");
  config.only_flag("tie_word_embeddings", false);
  if (config.has("quantization_config")) config.not_modelled("quantization_config", "a config without quantization");
  if (config.is_object("vision_config")) config.leave_out("vision_config", "the model is its text part");
}

}  // namespace

void know_keys(ConfigReader& config, const ModelClass& known) {
  const ConfigKeys read = as_named(known, joined(known.keys, common_keys()));
  const ConfigKeys other = joined(known.without_influence, common_keys_without_influence());
  if (known.section.empty()) {
    config.know(read, other);
  } else {
    know_wrapper(config, known);
    config.enter(std::string{known.section}, read, other);
  }
  for (const auto& [common, own] : known.renames) config.rename(common, own);
}

const std::vector<ModelClass>& model_classes() {
  static const std::vector<ModelClass> kClasses = [] {
    std::vector<ModelClass> all;
    for (auto family : {llama_classes, deepseek_classes, qwen_classes, expert_classes, encoder_decoder_classes})
      for (ModelClass& one : family()) all.push_back(std::move(one));
    return all;
  }();
  return kClasses;
}

const std::vector<TypeWithoutModel>& types_without_model() {
  static const std::vector<TypeWithoutModel> kTypes{
      {"bailing_moe", "its structure was not checked against published parameter counts"},
      {"bamba", "state-space layers"},
      {"deepseek_v32", "sparse attention: an indexer chooses the keys of every query"},
      {"deepseek_v4", "compressed sparse attention with an indexer, and hyper-connections"},
      {"falcon_h1", "state-space layers beside attention"},
      {"gemma2", "soft-capped logits, and norms around every block"},
      {"gemma3", "windowed and full layers with bases of their own, and norms around every block"},
      {"glm_moe_dsa", "sparse attention: an indexer chooses the keys of every query"},
      {"granitemoehybrid", "state-space layers"},
      {"hunyuan_v1_moe", "keys and values that neighbouring layers share"},
      {"jamba", "state-space layers (Mamba)"},
      {"kimi_linear", "linear attention"},
      {"longcat_flash", "experts that compute nothing, and a dense path beside them"},
      {"mamba2", "state-space layers"},
      {"mimo_v2_flash", "windowed layers with other KV heads than full ones, and values narrower than keys"},
      {"minimax", "linear attention (lightning)"},
      {"minimax_m1", "linear attention (lightning) in 7 of 8 layers"},
      {"nemotron_h", "state-space layers (Mamba-2), and layers of one block each"},
      {"qwen3_5_moe", "linear attention (gated delta rule) in 3 of 4 layers"},
      {"qwen3_next", "linear attention (gated delta rule) in 3 of 4 layers"},
      {"step3", "factorised queries over one shared key and value"},
      {"zamba2", "state-space layers"},
  };
  return kTypes;
}

}  // namespace moesim
