#pragma once
// The shape of a model, as its Hugging Face config.json states it.

#include <optional>
#include <string>
#include <vector>

#include "models/llm/number_format.hpp"

namespace moesim {

enum class AttentionKind { gqa, mla };  ///< gqa covers MHA (kv_heads = heads) and MQA (kv_heads = 1)

struct AttentionSpec {
  AttentionKind kind = AttentionKind::gqa;
  int heads = 0;
  int kv_heads = 0;      ///< mla: = heads
  int head_dim = 0;      ///< gqa: of q, k and v; mla: of q and k, nope + rope
  bool bias = false;     ///< q, k, v and o projections carry a bias
  bool qk_norm = false;  ///< per-head RMSNorm of q and k (Qwen3)
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

  bool operator==(const RouterSpec&) const = default;
};

struct MoeSpec {
  int experts = 0;        ///< E, routed
  int top_k = 0;          ///< k
  int expert_hidden = 0;  ///< f
  int shared_hidden = 0;  ///< width of all shared experts together, 0: none
  RouterSpec router;

  bool operator==(const MoeSpec&) const = default;
};

struct Architecture {
  std::string name;        ///< zoo name, or the file's stem (of ".../NAME/config.json": NAME)
  std::string model_type;  ///< as in config.json: mixtral, deepseek_v3, qwen3_moe, llama ...
  int hidden = 0;          ///< d
  int layers = 0;          ///< L
  int vocab = 0;           ///< V
  bool tied_embedding = false;
  int max_context = 0;
  AttentionSpec attention;
  int dense_hidden = 0;         ///< FFN width of dense layers, 0: none
  std::vector<bool> moe_layer;  ///< [layers]: this layer's FFN is MoE
  std::optional<MoeSpec> moe;
  int mtp_layers = 0;  ///< multi-token-prediction modules (num_nextn_predict_layers), not run by default
  NumberFormat checkpoint_format = NumberFormat::bf16;  ///< what quantization_config says the weights are stored in
  std::vector<std::string>
      defaulted;  ///< "head_dim = 128 (hidden_size / num_attention_heads)": values the class defaults

  int moe_layers() const;
  int dense_layers() const { return layers - moe_layers(); }
};

/// Read a zoo name ("mixtral-8x7b") or a path to a config.json (a value that has a '/' or ends in ".json").
/// Throws InputError naming the missing, unknown or contradictory key; NotModelledYet for known model types without a
/// model. Keys that start with '_' are comments. A file of at most 4 MiB, nested at most 64 deep.
Architecture load_architecture(const std::string& name_or_path);

/// `text` is the JSON, `origin` what to call it in errors and in Architecture::name.
Architecture parse_architecture(const std::string& text, const std::string& origin);

}  // namespace moesim
