#include "tests/catch_compat.hpp"
#include "tests/llm/config_text.hpp"

using namespace moesim;
using namespace moesim::testing;

TEST_CASE("The base configs of these tests load", "[llm]") {
  for (const std::string& text : {kLlama, kMixtral, kQwen3Moe, kDeepseekV3}) CHECK(refusal(text) == "accepted");
}

TEST_CASE("What the class defaults is taken and listed", "[llm]") {
  CHECK(read_config(kLlama).defaulted ==
        std::vector<std::string>{
            "hidden_act = silu (of the model class)", "tie_word_embeddings = false (of the model class)",
            "max_position_embeddings = 2048 (of the model class)",
            "torch_dtype = bfloat16 (the file names no number type)", "num_key_value_heads = 4 (num_attention_heads)",
            "head_dim = 16 (hidden_size / num_attention_heads)", "attention_bias = false (of the model class)"});
  CHECK(load_architecture("mixtral-8x7b").defaulted.empty());
}

TEST_CASE("A missing size is named", "[llm]") {
  for (const char* key : {"hidden_size", "num_hidden_layers", "vocab_size", "num_attention_heads", "intermediate_size",
                          "num_key_value_heads", "max_position_embeddings"}) {
    const std::string name = key;
    const std::string most = name == "num_hidden_layers"         ? "10000"
                             : name == "max_position_embeddings" ? "1000000000"
                                                                 : "10000000";
    CHECK(refusal(with(kMixtral, key, "")) ==
          "c.json: " + std::string{key} + ": got nothing, expected an integer from 1 to " + most);
  }
  CHECK(refusal(with(kMixtral, "num_local_experts", "")) ==
        "c.json: num_local_experts: got nothing, expected an integer from 1 to 100000");
  CHECK(refusal(with(kDeepseekV3, "q_lora_rank", "")) ==
        "c.json: q_lora_rank: got nothing, expected an integer from 1 to 10000000");
}

TEST_CASE("An unknown key is refused with the nearest known one, a comment is not", "[llm]") {
  CHECK(refusal(with(with(kLlama, "num_hidden_layers", ""), "num_hiden_layers", "2")) ==
        "c.json:2:1: num_hiden_layers: got an unknown key, expected a key of this model class; did you mean "
        "num_hidden_layers?");
  CHECK(refusal(with(kLlama, "num_local_experts", "8")) ==
        "c.json:2:1: num_local_experts: got an unknown key, expected a key of this model class");
  CHECK(refusal(with(kLlama, "hidden.size", "8")).find("unknown key") != std::string::npos);
  CHECK(refusal(with(kLlama, "_source", "\"a paper\"")) == "accepted");
  CHECK(refusal(with(kLlama, "rope_scaling", R"({"type": "yarn", "facter": 2})")) ==
        "c.json:2:34: rope_scaling.facter: got an unknown key, expected a key of rope_scaling; did you mean factor?");
}

TEST_CASE("A size that is no size is refused", "[llm]") {
  const auto hidden = [](const std::string& value) { return refusal(with(kLlama, "hidden_size", value)); };
  const std::string expected = ", expected an integer from 1 to 10000000";
  for (const char* value :
       {"0", "-64", "64.0", "10000001", "99999999999999999999999", "18446744073709551615", "\"64\"", "true", "[64]"}) {
    INFO(value);
    CHECK(hidden(value).find("c.json:2:1: hidden_size: got ") == 0);
    CHECK(hidden(value).find(expected) != std::string::npos);
  }
  CHECK(hidden("64.5") == "c.json:2:1: hidden_size: got 64.5" + expected);
  CHECK(hidden("-64") == "c.json:2:1: hidden_size: got -64" + expected);
  CHECK(hidden("null") == "c.json:2:1: hidden_size: got null" + expected);
  CHECK(refusal(with(kLlama, "tie_word_embeddings", "1")) ==
        "c.json:2:1: tie_word_embeddings: got 1, expected true or false");
}

TEST_CASE("Sizes that are each in range but together absurd are refused", "[llm]") {
  std::string text = kMixtral;
  for (const char* key : {"hidden_size", "intermediate_size", "vocab_size"}) text = with(text, key, "10000000");
  text = with(text, "num_hidden_layers", "10000");
  CHECK(refusal(with(text, "num_local_experts", "100000")) ==
        "c.json: got sizes that make 3e+23 parameters, expected at most 1e+17");
  CHECK(refusal(with(with(kLlama, "head_dim", "10000000"), "num_attention_heads", "4")) ==
        "c.json:2:1: num_attention_heads: got 4, expected at most 1 = 10000000 / head_dim");
}

TEST_CASE("A number in quotes is shown as the text that it is", "[llm]") {
  const std::string quoted = refusal(with(kLlama, "hidden_size", "\"4096\""));
  INFO(quoted);
  CHECK(quoted.find(": hidden_size: got the text '4096', expected an integer from ") != std::string::npos);
}

TEST_CASE("Contradictions between sizes are refused with both numbers", "[llm]") {
  CHECK(refusal(with(kLlama, "num_attention_heads", "5")) ==
        "c.json:3:1: hidden_size: got 64, expected a multiple of num_attention_heads = 5, as there is no head_dim");
  CHECK(refusal(with(with(kLlama, "num_attention_heads", "5"), "head_dim", "16")) == "accepted");
  CHECK(refusal(with(kMixtral, "num_key_value_heads", "3")) ==
        "c.json:2:1: num_key_value_heads: got 3, expected a divisor of num_attention_heads = 4");
  CHECK(refusal(with(kMixtral, "num_experts_per_tok", "9")) ==
        "c.json:2:1: num_experts_per_tok: got 9, expected at most num_local_experts = 8");
  CHECK(refusal(with(kDeepseekV3, "n_group", "3")) ==
        "c.json:2:1: n_group: got 3, expected a divisor of n_routed_experts = 16");
  CHECK(refusal(with(kDeepseekV3, "topk_group", "5")) == "c.json:2:1: topk_group: got 5, expected at most n_group = 4");
  CHECK(refusal(with(kDeepseekV3, "num_experts_per_tok", "9")) ==
        "c.json:2:1: num_experts_per_tok: got 9, expected at most 8, the experts of topk_group = 2 groups");
  CHECK(refusal(with(kDeepseekV3, "num_key_value_heads", "2")) ==
        "c.json:2:1: num_key_value_heads: got 2, expected num_attention_heads = 4: latent attention has no groups");
  CHECK(refusal(with(kDeepseekV3, "first_k_dense_replace", "6")) ==
        "c.json:2:1: first_k_dense_replace: got 6, expected a MoE layer left among num_hidden_layers = 6");
  CHECK(refusal(with(kQwen3Moe, "mlp_only_layers", "[6]")) ==
        "c.json:2:1: mlp_only_layers: got [6], expected layers below num_hidden_layers = 6");
  CHECK(refusal(with(kQwen3Moe, "layer_types", "[\"full_attention\"]")) ==
        "c.json:2:1: layer_types: got [\"full_attention\"], expected one entry for each of num_hidden_layers = 6");
}

TEST_CASE("What changes the model but is not modelled is refused as such", "[llm]") {
  CHECK(refusal(with(kQwen3Moe, "use_sliding_window", "true")) ==
        "later c.json:2:1: use_sliding_window: true is not modelled yet; use false");
  CHECK(refusal(with(kQwen3Moe, "use_qk_norm", "false")) ==
        "later c.json:2:1: use_qk_norm: false is not modelled yet; use true");
  CHECK(refusal(with(kLlama, "mlp_bias", "true")) == "later c.json:2:1: mlp_bias: true is not modelled yet; use false");
  CHECK(refusal(with(kDeepseekV3, "attention_bias", "true")).find("later") == 0);
  CHECK(refusal(with(kDeepseekV3, "moe_layer_freq", "[0, 1, 1, 1, 1, 1]")).find("later") == 0);
  CHECK(refusal(with(kDeepseekV3, "scoring_func", "\"softmax\"")).find("later") == 0);
  CHECK(refusal(with(kDeepseekV3, "topk_method", "\"greedy\"")).find("later") == 0);
  CHECK(refusal(with(kQwen3Moe, "shared_expert_intermediate_size", "64")).find("later") == 0);
  CHECK(refusal(with(kLlama, "hidden_act", "\"gelu\"")) ==
        "later c.json:2:1: hidden_act: gelu is not modelled yet; use silu");
  CHECK(refusal(with(kLlama, "torch_dtype", "\"float32\"")).find("later") == 0);
  CHECK(refusal(with(kLlama, "architectures", "[\"LlamaForSequenceClassification\"]")).find("later") == 0);
  CHECK(refusal(with(kLlama, "quantization_config", R"({"quant_method": "awq", "bits": 4})")).find("later") == 0);
}

TEST_CASE("Model types are told apart: not yet, and not at all", "[llm]") {
  const std::string choices =
      "one of mixtral, llama, mistral, llama4, llama4_text, deepseek_v2, deepseek_v3, kimi_k2, glm4_moe, deepseek, "
      "qwen3_moe, qwen2_moe, qwen3, qwen2, gpt_oss, minimax_m2, olmoe, phimoe, dbrx, grok-1, ernie4_5_moe, t5, "
      "switch_transformers";
  CHECK(refusal(R"({"model_type": "jamba"})") ==
        "later c.json:1:2: model_type: jamba (state-space layers (Mamba)) is not modelled yet; use " + choices);
  CHECK(refusal(R"({"model_type": "mixtrall"})") ==
        "c.json:1:2: model_type: got mixtrall, expected " + choices + "; did you mean mixtral?");
  CHECK(refusal("{}") == "c.json: model_type: got nothing, expected " + choices);
  CHECK(refusal(R"({"model_type": 3})") == "c.json:1:2: model_type: got 3, expected " + choices);
}

TEST_CASE("Layers are MoE exactly where the class puts experts", "[llm]") {
  using Layers = std::vector<bool>;
  CHECK(read_config(kMixtral).moe_layer == Layers{true, true});
  CHECK(read_config(kLlama).moe_layer == Layers{false, false});
  // (i + 1) % 2 == 0, and layer 3 listed as dense
  CHECK(read_config(with(with(kQwen3Moe, "decoder_sparse_step", "2"), "mlp_only_layers", "[3]")).moe_layer ==
        Layers{false, true, false, false, false, true});
  // i >= 1 and i % 2 == 0
  CHECK(read_config(with(kDeepseekV3, "moe_layer_freq", "2")).moe_layer ==
        Layers{false, false, true, false, true, false});
  CHECK(read_config(kDeepseekV3).dense_hidden == 128);
  CHECK(read_config(kQwen3Moe).dense_hidden == 0);  // intermediate_size is of dense layers, and there are none
}

TEST_CASE("The router is read as the class runs it", "[llm]") {
  const RouterSpec v3 = read_config(kDeepseekV3).moe->router;
  CHECK(v3.score == RouterScore::sigmoid);
  CHECK(v3.group_score == GroupScore::top2_sum);
  CHECK(v3.groups == 4);
  CHECK(v3.kept_groups == 2);
  CHECK(v3.selection_bias);
  CHECK(v3.scale == 2.5);
  CHECK_FALSE(read_config(kQwen3Moe).moe->router.normalise_topk);  // Qwen3MoeConfig defaults norm_topk_prob to false
  CHECK(read_config(with(kQwen3Moe, "norm_topk_prob", "true")).moe->router.normalise_topk);
  CHECK(read_config(kMixtral).moe->router.score == RouterScore::softmax);
  CHECK(load_architecture("deepseek-v2-lite").moe->router.group_score == GroupScore::none);
}

TEST_CASE("The checkpoint's format is what quantization_config says", "[llm]") {
  const auto format = [](const std::string& value) {
    return read_config(with(kLlama, "quantization_config", value)).checkpoint_format;
  };
  CHECK(format("null") == NumberFormat::bf16);
  CHECK(format(R"({"quant_method": "fp8"})") == NumberFormat::fp8);
  CHECK(format(R"({"quant_method": "fp8", "weight_block_size": [128, 128]})") == NumberFormat::fp8_block);
  CHECK(refusal(with(kLlama, "quantization_config", R"({"quant_method": "fp8", "weight_block_size": [64, 64]})")) ==
        "later c.json:2:48: quantization_config.weight_block_size: [64,64] is not modelled yet; use [128,128]");
  CHECK(refusal(with(kLlama, "quantization_config", "{}")) ==
        "c.json: quantization_config.quant_method: got nothing, expected fp8 or mxfp4");
}
