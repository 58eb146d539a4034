// What each model class adds to the plain decoder, as its config.json says.

#include <string>

#include "models/llm/parameters.hpp"
#include "models/units/error.hpp"
#include "tests/catch_compat.hpp"
#include "tests/llm/config_text.hpp"

using namespace moesim;
using namespace moesim::testing;

namespace {

using Layers = std::vector<bool>;

/// A base config as another class, with that class's keys.
std::string as(std::string text, const std::string& type,
               const std::vector<std::pair<std::string, std::string>>& keys) {
  const auto at = text.find("\"model_type\"");
  text = text.substr(0, at) + "\"model_type\": \"" + type + "\"}\n";
  for (const auto& [key, value] : keys) text = with(text, key, value);
  return text;
}

const std::string kGptOss = as(kMixtral, "gpt_oss", {{"num_hidden_layers", "4"}});
const std::string kLlama4 = as(kMixtral, "llama4_text",
                               {{"num_hidden_layers", "8"},
                                {"intermediate_size_mlp", "256"},
                                {"interleave_moe_layer_step", "2"},
                                {"attention_chunk_size", "16"}});
const std::string kErnie = as(kLlama, "ernie4_5_moe",
                              {{"num_hidden_layers", "6"},
                               {"num_key_value_heads", "2"},
                               {"moe_num_experts", "8"},
                               {"moe_k", "2"},
                               {"moe_intermediate_size", "32"},
                               {"moe_num_shared_experts", "2"}});
const std::string kSwitch =
    "{\n\"d_model\": 64,\n\"num_layers\": 4,\n\"vocab_size\": 100,\n\"num_heads\": 4,\n\"d_kv\": 16,\n\"d_ff\": 128,\n"
    "\"num_experts\": 8,\n\"num_sparse_encoder_layers\": 2,\n\"num_sparse_decoder_layers\": 1,\n"
    "\"model_type\": \"switch_transformers\"}\n";
const std::string kDbrx =
    "{\n\"d_model\": 64,\n\"n_layers\": 2,\n\"vocab_size\": 100,\n\"n_heads\": 4,\n\"max_seq_len\": 512,\n"
    "\"attn_config\": {\"kv_n_heads\": 2, \"clip_qkv\": 8},\n"
    "\"ffn_config\": {\"ffn_hidden_size\": 128, \"moe_num_experts\": 8, \"moe_top_k\": 2},\n"
    "\"model_type\": \"dbrx\"}\n";

}  // namespace

TEST_CASE("The base configs of the new classes load", "[llm]") {
  for (const std::string& text : {kGptOss, kLlama4, kErnie, kSwitch, kDbrx}) CHECK(refusal(text) == "accepted");
}

TEST_CASE("gpt-oss slides in every second layer, with biases everywhere and a sink per head", "[llm]") {
  const Architecture model = read_config(kGptOss);
  CHECK(model.windowed_layer == Layers{true, false, true, false});
  CHECK(model.attention.window == 128);
  CHECK_FALSE(model.attention.chunked);
  CHECK(model.attention.sinks);
  CHECK(model.attention.output_bias);
  CHECK(model.moe->bias);
  CHECK(model.moe->router.bias);
  CHECK(model.reach(0) == Reach::windowed);
  CHECK(model.reach(3) == Reach::full);
  const std::string kinds = R"(["full_attention", "full_attention", "full_attention", "sliding_attention"])";
  CHECK(read_config(with(kGptOss, "layer_types", kinds)).windowed_layer == Layers{false, false, false, true});
  CHECK(refusal(with(kGptOss, "layer_types", R"(["full_attention"])")) ==
        "c.json:2:1: layer_types: got [\"full_attention\"], expected one entry for each of num_hidden_layers = 4");
  CHECK(refusal(with(kGptOss, "experts_per_token", "3")) ==
        "c.json:2:1: experts_per_token: got 3, expected num_experts_per_tok = 2");
}

TEST_CASE("mxfp4 means the routed experts alone, and the file must say so", "[llm]") {
  const std::string modules =
      R"("modules_to_not_convert": ["model.layers.*.self_attn", "model.layers.*.mlp.router", "model.embed_tokens")";
  const Architecture model =
      read_config(with(kGptOss, "quantization_config", R"({"quant_method": "mxfp4", )" + modules + R"(, "lm_head"]})"));
  CHECK(model.checkpoint_format == NumberFormat::bf16);
  CHECK(model.checkpoint_experts == NumberFormat::mxfp4);
  CHECK_THAT(refusal(with(kGptOss, "quantization_config", R"({"quant_method": "mxfp4", )" + modules + "]}")),
             Catch::Matchers::Contains("use self_attn, mlp.router, embed_tokens and lm_head there"));
}

TEST_CASE("Llama 4 has experts in every second layer and no RoPE in every fourth", "[llm]") {
  const Architecture model = read_config(kLlama4);
  CHECK(model.moe_layer == Layers{false, true, false, true, false, true, false, true});
  CHECK(model.windowed_layer == Layers{true, true, true, false, true, true, true, false});
  CHECK(model.attention.window == 16);
  CHECK(model.attention.chunked);
  CHECK(model.attention.rope_in_windows_only);
  CHECK(model.attention.qk_norm == QkNorm::unweighted);
  CHECK(model.dense_hidden == 256);
  CHECK(model.moe->expert_hidden == 128);
  CHECK(model.moe->shared_hidden == 128);
  CHECK(model.moe->router.score == RouterScore::sigmoid);
  CHECK(read_config(with(kLlama4, "moe_layers", "[0, 7]")).moe_layer ==
        Layers{true, false, false, false, false, false, false, true});
  CHECK(refusal(with(kLlama4, "moe_layers", "[8]")) ==
        "c.json:2:1: moe_layers: got [8], expected layers below num_hidden_layers = 8");
  CHECK(refusal(with(kLlama4, "attention_chunk_size", "null")).find("later") == 0);
}

TEST_CASE("A nested text model is read in its place, and errors name that place", "[llm]") {
  const std::string nested = "{\n\"model_type\": \"llama4\",\n\"text_config\": " + kLlama4 + "}";
  CHECK(read_config(nested).model_type == "llama4");
  CHECK(count_parameters(read_config(nested)).total == count_parameters(read_config(kLlama4)).total);
  CHECK(refusal("{\n\"model_type\": \"llama4\",\n\"text_config\": " + with(kLlama4, "hidden_size", "0") + "}") ==
        "c.json:4:1: text_config.hidden_size: got 0, expected an integer from 1 to 10000000");
  CHECK(refusal("{\"model_type\": \"llama4\", \"text_config\": " + with(kLlama4, "hiden_act", "\"silu\"") + "}") ==
        "c.json:2:1: text_config.hiden_act: got an unknown key, expected a key of text_config; did you mean "
        "hidden_act?");
  CHECK(refusal("{\"model_type\": \"llama4\", \"quantization_config\": {}, \"text_config\": " + kLlama4 + "}") ==
        "later c.json:1:26: quantization_config: {} is not modelled yet; use a config without quantization");
  CHECK(refusal(R"({"model_type": "llama4"})") == "c.json: text_config: got nothing, expected an object");
  CHECK(refusal(R"({"model_type": "llama4", "text_config": 3})") ==
        "c.json:1:26: text_config: got 3, expected an object or null");
}

TEST_CASE("Qwen2-MoE scales its shared expert by a gate of the token", "[llm]") {
  const std::string text = as(kQwen3Moe, "qwen2_moe", {{"shared_expert_intermediate_size", "96"}});
  const Architecture model = read_config(text);
  CHECK(model.moe->shared_hidden == 96);
  CHECK(model.moe->shared_gate);
  CHECK(model.attention.bias);
  CHECK_FALSE(model.attention.output_bias);
  // 6 layers: 8 rows of the router and the gate, 64 wide
  CHECK(count_parameters(model)[TensorClass::router] == 6 * 9 * 64);
  CHECK(count_parameters(model)[TensorClass::shared_experts] == 6 * 3 * 64 * 96);
  CHECK_FALSE(read_config(with(text, "qkv_bias", "false")).attention.bias);
  CHECK(refusal(with(text, "shared_expert_intermediate_size", "")) ==
        "c.json: shared_expert_intermediate_size: got nothing, expected an integer from 1 to 10000000");
}

TEST_CASE("ERNIE's experts stand between two layers, every so many", "[llm]") {
  CHECK(read_config(kErnie).moe_layer == Layers{false, true, true, true, true, true});
  CHECK(read_config(with(kErnie, "moe_layer_end_index", "3")).moe_layer ==
        Layers{false, true, true, true, false, false});
  CHECK(read_config(with(kErnie, "moe_layer_end_index", "-1")).moe_layer == read_config(kErnie).moe_layer);
  // (i + 1) % 2 == 0
  CHECK(read_config(with(kErnie, "moe_layer_interval", "2")).moe_layer ==
        Layers{false, true, false, true, false, true});
  CHECK(read_config(kErnie).tied_embedding);
  CHECK(read_config(kErnie).moe->shared_hidden == 64);
  CHECK(read_config(kErnie).moe->router.selection_bias);
  CHECK(refusal(with(kErnie, "moe_layer_start_index", "6")) ==
        "c.json:2:1: moe_layer_start_index: got 6, expected a MoE layer left");
  CHECK(read_config(with(kErnie, "num_nextn_predict_layers", "1")).left_out ==
        std::vector<std::string>{"num_nextn_predict_layers: the class ignores the MTP module"});
}

TEST_CASE("DBRX's nested names are read, and errors name them", "[llm]") {
  const Architecture model = read_config(kDbrx);
  CHECK(model.attention.kv_heads == 2);
  CHECK(model.moe->experts == 8);
  CHECK(model.moe->top_k == 2);
  CHECK(model.max_context == 512);
  CHECK(refusal(with(kDbrx, "d_model", "0")) == "c.json:2:1: d_model: got 0, expected an integer from 1 to 10000000");
  CHECK(refusal(with(kDbrx, "ffn_config", R"({"ffn_hidden_size": 128, "moe_num_experts": 2, "moe_top_k": 3})")) ==
        "c.json:2:62: ffn_config.moe_top_k: got 3, expected at most ffn_config.moe_num_experts = 2");
  CHECK(refusal(with(kDbrx, "ffn_config", R"({"moe_num_expert": 2})")) ==
        "c.json:2:16: ffn_config.moe_num_expert: got an unknown key, expected a key of ffn_config; did you mean "
        "moe_num_experts?");
  CHECK(refusal(with(kDbrx, "hidden_size", "64")) ==
        "c.json:2:1: hidden_size: got an unknown key, expected a key of this model class");
  CHECK(refusal(with(kDbrx, "attn_config", "null")) == "c.json:2:1: attn_config: got null, expected an object");
}

TEST_CASE("Phi-3.5-MoE adds biases to its norms and its head, Grok-1 two norms", "[llm]") {
  const std::string phi = as(kMixtral, "phimoe", {{"attention_bias", "true"}, {"lm_head_bias", "true"}});
  // d 64, 2 layers of two norms and a final one, each with 2 * 64
  CHECK(count_parameters(read_config(phi))[TensorClass::norms] == 5 * 2 * 64);
  CHECK(count_parameters(read_config(phi))[TensorClass::head] == 100 * 64 + 100);
  CHECK(read_config(with(phi, "sliding_window", "512")).windowed_layers() == 0);  // as long as the context
  CHECK(read_config(with(phi, "sliding_window", "256")).windowed_layers() == 2);
  const std::string grok = as(with(kMixtral, "num_local_experts", ""), "grok-1", {{"num_experts", "8"}});
  CHECK(count_parameters(read_config(grok))[TensorClass::norms] == (2 * 4 + 1) * 64);
  CHECK(read_config(grok).tied_embedding);
  // int(2 * 64) * 2 // 3 = 85, rounded up to 88
  CHECK(refusal(with(grok, "widening_factor", "2")) ==
        "c.json:9:1: intermediate_size: got 128, expected 88, as widening_factor says");
}

TEST_CASE("MiniMax-M2 norms all heads together; its MTP modules and linear layers are not guessed", "[llm]") {
  const std::string text = as(kMixtral, "minimax_m2", {});
  CHECK(read_config(text).attention.qk_norm == QkNorm::full);
  CHECK(read_config(text).moe->router.selection_bias);
  // q 4 heads and k 2 heads of 16
  CHECK(count_parameters(read_config(text)).attention_per_layer == 2 * 64 * 64 + 2 * 64 * 32 + 64 + 32);
  CHECK(read_config(with(text, "num_mtp_modules", "3")).left_out.size() == 1);
  CHECK(read_config(with(text, "num_mtp_modules", "3")).mtp_layers == 0);
  CHECK(refusal(with(text, "attn_type_list", "[0, 1]")) ==
        "later c.json:2:1: attn_type_list: [0,1] is not modelled yet; use 1 (softmax attention) in every layer");
  CHECK(refusal(with(text, "shared_intermediate_size", "64")).find("later") == 0);
}

TEST_CASE("A Mixtral or Mistral window holds in every layer, unless it is as long as the context", "[llm]") {
  CHECK(read_config(with(kMixtral, "sliding_window", "256")).windowed_layer == Layers{true, true});
  CHECK(read_config(with(kMixtral, "sliding_window", "256")).attention.window == 256);
  CHECK(read_config(with(kMixtral, "sliding_window", "512")).windowed_layer.empty());
  CHECK(read_config(with(kMixtral, "sliding_window", "null")).windowed_layer.empty());
  CHECK(refusal(with(kMixtral, "sliding_window", "0")) ==
        "c.json:2:1: sliding_window: got 0, expected an integer from 1 to 10000000");
}

TEST_CASE("Switch puts experts in every other layer of both stacks", "[llm]") {
  const Architecture model = read_config(kSwitch);
  REQUIRE(model.encoder.has_value());
  CHECK(model.encoder->moe_layer == Layers{false, true, false, true});  // 4 / 2: i % 2 == 1
  CHECK(model.moe_layer == Layers{false, true, false, false});          // 4 / 1: i % 4 == 1
  CHECK_FALSE(model.gated);
  CHECK(model.moe->top_k == 1);
  CHECK(model.attention.relative_buckets == 32);
  CHECK(read_config(with(kSwitch, "num_sparse_decoder_layers", "4")).moe_layers() == 4);
  CHECK(refusal(with(kSwitch, "num_sparse_decoder_layers", "0")) ==
        "c.json:2:1: num_sparse_decoder_layers: got 0, expected a MoE layer in the decoder");
  CHECK(refusal(with(kSwitch, "num_sparse_encoder_layers", "5")) ==
        "c.json:2:1: num_sparse_encoder_layers: got 5, expected at most the 4 layers of the stack");
  CHECK(refusal(with(kSwitch, "num_experts_per_tok", "2")).find("later") == 0);
  CHECK(refusal(with(kSwitch, "num_layers", "0")) ==
        "c.json:2:1: num_layers: got 0, expected an integer from 1 to 10000");
}

TEST_CASE("T5 1.1 is gated and has a head of its own", "[llm]") {
  const std::string text =
      "{\n\"d_model\": 64,\n\"num_layers\": 2,\n\"vocab_size\": 100,\n\"num_heads\": 4,\n\"d_kv\": 16,\n\"d_ff\": "
      "128,\n"
      "\"feed_forward_proj\": \"gated-gelu\",\n\"tie_word_embeddings\": false,\n\"model_type\": \"t5\"}\n";
  const ParameterCounts counts = count_parameters(read_config(text));
  CHECK(counts[TensorClass::dense_ffn] == 4 * 3 * 64 * 128);
  CHECK(counts[TensorClass::head] == 100 * 64);
  // 2 + 2 * 2 attentions of 4 * 64 * 64, and two tables of 32 * 4
  CHECK(counts[TensorClass::attention] == 6 * 4 * 64 * 64 + 2 * 32 * 4);
  // encoder 2 * 2, decoder 2 * 3, and a final one each
  CHECK(counts[TensorClass::norms] == 12 * 64);
  CHECK(refusal(with(text, "feed_forward_proj", "\"gated-silu\"")).find("later") == 0);
  CHECK(read_config(with(text, "torch_dtype", "\"float32\"")).left_out ==
        std::vector<std::string>{"torch_dtype: float32 weights are taken as bf16"});
  CHECK(refusal(with(text, "architectures", "[\"T5EncoderModel\"]")) ==
        "later c.json:2:1: architectures: [\"T5EncoderModel\"] is not modelled yet; use a ...ForConditionalGeneration");
}

TEST_CASE("Sizes of every new class that are absurd or zero are refused", "[llm]") {
  for (const std::string& text : {kGptOss, kLlama4, kErnie})
    for (const char* key : {"hidden_size", "num_hidden_layers", "vocab_size", "num_attention_heads"}) {
      INFO(key);
      CHECK(refusal(with(text, key, "0")).find(": got 0, expected an integer from 1 to ") != std::string::npos);
      CHECK(refusal(with(text, key, "18446744073709551616")) != "accepted");
    }
  std::string huge = kSwitch;
  for (const char* key : {"d_model", "d_ff", "vocab_size"}) huge = with(huge, key, "10000000");
  huge = with(with(huge, "num_layers", "10000"), "num_experts", "100000");
  CHECK(refusal(with(huge, "num_sparse_encoder_layers", "10000")).find("c.json: got sizes that make ") == 0);
}
