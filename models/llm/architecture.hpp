#pragma once
// The shape of a model, as its Hugging Face config.json states it.

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "models/llm/number_format.hpp"

namespace moesim {

enum class AttentionKind { gqa, mla };  ///< gqa covers MHA (kv_heads = heads) and MQA (kv_heads = 1)

/// RMSNorm of q and k: none; of every head with one weight vector for all heads (Qwen3); of all heads together (OLMoE,
/// MiniMax-M2); of every head without weights (Llama 4).
enum class QkNorm { none, head, full, unweighted };

struct AttentionSpec {
  AttentionKind kind = AttentionKind::gqa;
  int heads = 0;
  int kv_heads = 0;          ///< mla: = heads
  int head_dim = 0;          ///< gqa: of q, k and v; mla: of q and k, nope + rope
  bool bias = false;         ///< q, k and v projections carry a bias
  bool output_bias = false;  ///< and the output projection
  QkNorm qk_norm = QkNorm::none;
  bool sinks = false;  ///< a learned logit per head that takes part in the softmax (gpt-oss)
  // layers that do not look at the whole context: Architecture::windowed_layer
  int window = 0;                     ///< keys a query of such a layer sees at most, its own included; 0: no such layer
  bool chunked = false;               ///< Llama 4: its own chunk of `window` tokens only, not the last `window` tokens
  bool rope_in_windows_only = false;  ///< Llama 4: layers that see everything have neither RoPE nor a norm of q and k
  int relative_buckets = 0;           ///< T5: a table [buckets, heads] of position biases per stack instead of RoPE
  // mla only
  int q_lora = 0;  ///< 0: q is projected directly
  int kv_lora = 0;
  int nope = 0;
  int rope = 0;
  int v_dim = 0;

  bool operator==(const AttentionSpec&) const = default;
};

enum class RouterScore { softmax, sigmoid };
enum class GroupScore { none, max, top2_sum };

/// How a token's k experts are chosen. Selection: scores, + bias, keep `kept_groups` of `groups`, then top k.
struct RouterSpec {
  RouterScore score = RouterScore::softmax;
  int groups = 1;
  int kept_groups = 1;
  GroupScore group_score = GroupScore::none;
  bool normalise_topk = true;
  double scale = 1.0;
  bool selection_bias = false;  ///< DeepSeek-V3's e_score_correction_bias: E parameters
  bool bias = false;            ///< the router's projection has a bias (gpt-oss): E parameters

  bool operator==(const RouterSpec&) const = default;
};

struct MoeSpec {
  int experts = 0;           ///< E, routed
  int top_k = 0;             ///< k
  int expert_hidden = 0;     ///< f
  int shared_hidden = 0;     ///< width of all shared experts together, 0: none
  bool shared_gate = false;  ///< a sigmoid of the token, [d] weights, scales the shared experts (Qwen2-MoE)
  bool bias = false;         ///< every matrix of a routed expert has a bias (gpt-oss)
  RouterSpec router;

  bool operator==(const MoeSpec&) const = default;
};

/// How far back a layer looks: at the whole context, or within AttentionSpec::window.
enum class Reach { full, windowed };

/// The other stack of an encoder-decoder. Widths, heads and experts are those of the decoder, whose layers then also
/// attend to the encoder's output.
struct EncoderSpec {
  int layers = 0;
  std::vector<bool> moe_layer;  ///< [layers]

  bool operator==(const EncoderSpec&) const = default;
};

struct Architecture {
  std::string name;        ///< zoo name, or the file's stem (of ".../NAME/config.json": NAME)
  std::string model_type;  ///< as in config.json: mixtral, deepseek_v3, qwen3_moe, llama ...
  int hidden = 0;          ///< d
  int layers = 0;          ///< L; of an encoder-decoder: the decoder's
  int vocab = 0;           ///< V
  bool tied_embedding = false;
  int max_context = 0;
  AttentionSpec attention;
  int dense_hidden = 0;              ///< FFN width of dense layers, 0: none
  bool gated = true;                 ///< an FFN has three matrices (gate, up, down); false: two (T5, Switch)
  int norms_per_layer = 2;           ///< 4 in Grok-1, which also norms what attention and experts give
  bool norm_bias = false;            ///< LayerNorm with weight and bias instead of RMSNorm (Phi-3.5-MoE)
  bool head_bias = false;            ///< the LM head has a bias: V parameters
  std::vector<bool> moe_layer;       ///< [layers]: this layer's FFN is MoE
  std::vector<bool> windowed_layer;  ///< [layers]: attends within AttentionSpec::window; empty: none does
  std::optional<MoeSpec> moe;
  std::optional<EncoderSpec> encoder;
  int mtp_layers = 0;  ///< multi-token-prediction modules (num_nextn_predict_layers), not run by default
  /// What quantization_config says the linear layers are stored in, and the routed experts.
  NumberFormat checkpoint_format = NumberFormat::bf16;
  NumberFormat checkpoint_experts = NumberFormat::bf16;
  /// "head_dim = 128 (hidden_size / num_attention_heads)": values the class defaults.
  std::vector<std::string> defaulted;
  std::vector<std::string> left_out;  ///< what the file has and this model leaves out, as "key: why"

  int moe_layers() const;
  int dense_layers() const { return layers - moe_layers(); }
  int windowed_layers() const;
  int layers_of(Reach reach) const { return reach == Reach::windowed ? windowed_layers() : layers - windowed_layers(); }
  Reach reach(int layer) const {
    return !windowed_layer.empty() && windowed_layer[static_cast<std::size_t>(layer)] ? Reach::windowed : Reach::full;
  }
};

/// Read a zoo name ("mixtral-8x7b") or a path to a config.json (a value that has a '/' or ends in ".json").
/// Throws InputError naming the missing, unknown or contradictory key; NotModelledYet, with the feature that is
/// missing, for known model types without a model. Keys that start with '_' are comments. A file of at most 4 MiB,
/// nested at most 64 deep.
Architecture load_architecture(const std::string& name_or_path);

/// The precision that the checkpoint is stored in.
Precision checkpoint_precision(const Architecture& model);

/// `text` is the JSON, `origin` what to call it in errors and in Architecture::name.
Architecture parse_architecture(const std::string& text, const std::string& origin);

}  // namespace moesim
