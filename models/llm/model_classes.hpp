#pragma once
// Internal to models/llm: how each Hugging Face model class reads its config.json.

#include <string>
#include <string_view>
#include <vector>

#include "models/llm/architecture.hpp"
#include "models/llm/config_reader.hpp"

namespace moesim {

struct ModelClass {
  std::string_view model_type;
  std::vector<std::string_view> keys;               ///< read by `read`, beside common_keys()
  std::vector<std::string_view> without_influence;  ///< keys of this class alone that change nothing that is modelled
  Architecture (*read)(ConfigReader&);
};

const std::vector<ModelClass>& model_classes();
/// Types whose published configurations exist, but whose layers are not modelled.
const std::vector<std::string>& types_without_model();

// --- what several classes share (config_pieces.cpp)
// ----------------------------------------------------------------------

/// Keys that read_common reads.
const std::vector<std::string_view>& common_keys();
/// Numerics, tokens, training, bookkeeping: keys of every class that change no shape, parameter, byte or FLOP.
const std::vector<std::string_view>& common_keys_without_influence();

/// Width, depth, vocabulary, tied embedding, number format; checks activation, rope and architectures.
Architecture read_common(ConfigReader& config);

/// heads and kv_heads, head_dim (0: hidden_size / num_attention_heads) and bias.
struct GroupedAttentionDefaults {
  bool kv_heads_are_heads = false;  ///< num_key_value_heads may be absent
  int head_dim = 0;
  bool has_bias_key = true;
};
void read_grouped_attention(ConfigReader& config, const GroupedAttentionDefaults& defaults, Architecture& model);

/// experts, k, widths of one expert and of the layer's shared ones; refuses k > experts and a model without MoE layer.
void read_experts(ConfigReader& config, std::string_view experts_key, std::string_view hidden_key, int shared,
                  Architecture& model);

/// Qwen: windows exist in the class, but every layer must attend fully.
void check_no_windows(ConfigReader& config, const Architecture& model);

}  // namespace moesim
