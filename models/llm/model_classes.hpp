#pragma once
// Internal to models/llm: how each Hugging Face model class reads its config.json.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "models/llm/architecture.hpp"
#include "models/llm/config_reader.hpp"

namespace moesim {

using ConfigKeys = std::vector<std::string_view>;

struct ModelClass {
  std::string_view model_type;
  ConfigKeys keys;               ///< read by `read`, beside common_keys()
  ConfigKeys without_influence;  ///< keys of this class alone that change nothing that is modelled
  Architecture (*read)(ConfigReader&);
  std::vector<std::pair<std::string_view, std::string_view>> renames =
      {};                          ///< a common key, and its name in this class
  std::string_view section = {};   ///< the object that holds all of this, when it is not the file itself
  ConfigKeys beside_section = {};  ///< keys beside the section that change nothing that is modelled
};

const std::vector<ModelClass>& model_classes();

/// The same by family, one file each.
std::vector<ModelClass> llama_classes();
std::vector<ModelClass> qwen_classes();
std::vector<ModelClass> deepseek_classes();
std::vector<ModelClass> expert_classes();
std::vector<ModelClass> encoder_decoder_classes();

/// A type whose published configurations exist, but whose layers are not modelled, and why.
struct TypeWithoutModel {
  std::string_view model_type;
  std::string_view feature;
};
const std::vector<TypeWithoutModel>& types_without_model();

/// Refuses keys that the class does not know, renames those it calls otherwise, enters its section.
void know_keys(ConfigReader& config, const ModelClass& known);

// --- what several classes share (config_pieces.cpp, layer_pieces.cpp)
// ----------------------------------------------------------------------

/// Class defaults below are those of the Hugging Face configuration classes; they are listed in
/// Architecture::defaulted.
inline constexpr std::string_view kOfClass = "of the model class";

/// Keys that read_common reads.
const ConfigKeys& common_keys();
/// Numerics, tokens, training, bookkeeping: keys of every class that change no shape, parameter, byte or FLOP.
const ConfigKeys& common_keys_without_influence();

struct CommonDefaults {
  int max_context = 0;  ///< 0: the file must say
  bool tied = false;
  std::string activation = "silu";  ///< beside silu, what this class computes at the same cost
  std::string_view architecture = "ForCausalLM";
  bool may_be_float32 = false;  ///< taken as bf16, and said so
};

/// Width, depth, vocabulary, tied embedding, number format; checks activation, rope and architectures.
Architecture read_common(ConfigReader& config, const CommonDefaults& defaults = {});

/// heads and kv_heads, head_dim (0: hidden_size / num_attention_heads) and bias.
struct GroupedAttentionDefaults {
  bool kv_heads_are_heads = false;  ///< num_key_value_heads may be absent
  int head_dim = 0;
  bool has_bias_key = true;
  bool output_bias = true;  ///< attention_bias holds for the output projection too
};
void read_grouped_attention(ConfigReader& config, const GroupedAttentionDefaults& defaults, Architecture& model);

inline constexpr int kMostLayers = 10'000;
inline constexpr int kMostExperts = 100'000;

/// experts, k, widths of one expert and of the layer's shared ones; refuses k > experts and a model without MoE layer.
void read_experts(ConfigReader& config, std::string_view experts_key, std::string_view hidden_key, int shared,
                  Architecture& model, std::string_view top_k_key = "num_experts_per_tok");

/// Layer i is MoE unless it is listed in mlp_only_layers or decoder_sparse_step leaves it out: (i + 1) % step == 0.
void read_sparse_steps(ConfigReader& config, Architecture& model);

/// Layer i is MoE when i >= first_k_dense_replace and i % moe_layer_freq == 0; width of the others.
void read_leading_dense(ConfigReader& config, bool has_frequency, Architecture& model);

/// Width of dense layers, which may be missing or 0 when there are none.
void read_dense_width(ConfigReader& config, std::string_view key, Architecture& model);

/// n_group of experts of which a token may use topk_group. One group is no limit.
void read_groups(ConfigReader& config, GroupScore score, MoeSpec& moe);

/// Qwen: windows exist in the class, but every layer must attend fully.
void check_no_windows(ConfigReader& config, const Architecture& model);

/// layer_types: `windowed` or full_attention per layer. Empty when the file has none.
std::vector<bool> read_layer_types(ConfigReader& config, std::string_view windowed, const Architecture& model);

/// sliding_window in every layer, unless null or as long as the longest context.
void read_window_everywhere(ConfigReader& config, Architecture& model);

}  // namespace moesim
