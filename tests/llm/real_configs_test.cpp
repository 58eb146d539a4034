#include <filesystem>
#include <set>

#include "models/llm/parameters.hpp"
#include "models/units/error.hpp"
#include "models/units/resources.hpp"
#include "tests/catch_compat.hpp"
#include "tests/shared_data.hpp"

using namespace moesim;
using Catch::Matchers::Contains;

namespace {

namespace fs = std::filesystem;

const std::string kFolder = "data/models/hf_configs/";

/// Everything but the name, and what was defaulted.
void check_same(const Architecture& a, const Architecture& b) {
  CHECK(a.model_type == b.model_type);
  CHECK(a.hidden == b.hidden);
  CHECK(a.layers == b.layers);
  CHECK(a.vocab == b.vocab);
  CHECK(a.tied_embedding == b.tied_embedding);
  CHECK(a.max_context == b.max_context);
  CHECK(a.attention == b.attention);
  CHECK(a.dense_hidden == b.dense_hidden);
  CHECK(a.gated == b.gated);
  CHECK(a.norms_per_layer == b.norms_per_layer);
  CHECK(a.norm_bias == b.norm_bias);
  CHECK(a.head_bias == b.head_bias);
  CHECK(a.windowed_layer == b.windowed_layer);
  CHECK(a.encoder == b.encoder);
  CHECK(a.checkpoint_experts == b.checkpoint_experts);
  CHECK(a.moe_layer == b.moe_layer);
  CHECK(a.moe == b.moe);
  CHECK(a.mtp_layers == b.mtp_layers);
  CHECK(a.checkpoint_format == b.checkpoint_format);
}

struct Twin {
  const char* file;
  const char* zoo;
};

constexpr Twin kTwins[] = {
    {"mistralai--Mixtral-8x7B-v0.1.json", "mixtral-8x7b"},
    {"deepseek-ai--DeepSeek-V3.json", "deepseek-v3"},
    {"deepseek-ai--DeepSeek-R1.json", "deepseek-r1"},
    {"deepseek-ai--DeepSeek-V2-Lite.json", "deepseek-v2-lite"},
    {"Qwen--Qwen3-30B-A3B.json", "qwen3-30b-a3b"},
    {"Qwen--Qwen3-235B-A22B.json", "qwen3-235b-a22b"},
    {"Qwen--Qwen3-8B.json", "qwen3-8b"},
    {"Qwen--Qwen3-32B.json", "qwen3-32b"},
    {"meta-llama--Meta-Llama-3.1-8B.json", "llama-3.1-8b"},
    {"meta-llama--Meta-Llama-3.1-70B.json", "llama-3.1-70b"},
    {"meta-llama--Meta-Llama-3.1-405B.json", "llama-3.1-405b"},
    {"derived/meta-llama--Llama-2-70b-hf.json", "llama-2-70b"},
    {"Qwen--Qwen3-Coder-480B-A35B-Instruct.json", "qwen3-coder-480b-a35b"},
    {"meta-llama--Llama-4-Maverick-17B-128E-Instruct.json", "llama-4-maverick"},
    {"meta-llama--Llama-4-Scout-17B-16E-Instruct.json", "llama-4-scout"},
    {"openai--gpt-oss-120b.json", "gpt-oss-120b"},
    {"openai--gpt-oss-20b.json", "gpt-oss-20b"},
    {"derived/Qwen--Qwen1.5-MoE-A2.7B.json", "qwen1.5-moe-a2.7b"},
    {"derived/databricks--dbrx-instruct.json", "dbrx"},
    {"derived/xai-org--grok-1.json", "grok-1"},
    {"derived/baidu--ERNIE-4.5-21B-A3B-PT.json", "ernie-4.5-21b-a3b"},
};

struct Alone {
  const char* file;
  std::int64_t total;
};

// Files without a twin, by hand:
//   Llama-2-7B  2*32000*4096 + 4096 + 32*(4*4096*4096 + 3*4096*11008 + 2*4096)
//   Llama-3-70B as Llama-3.1-70B, Llama-3-8B as Llama-3.1-8B
//   GLM-4.5     the file names no norm of q and k: 92*256 less than the released 352,797,829,024
//   OLMoE       the file has the class default of 2048 columns: 16*64*3*2048*1024 more than the released 6,919,161,856
//   Phi-3.5     the file names no biases: 32*(4096 + 2*1024 + 4096) and 32064 less than the released 41,873,153,344
//   Switch      the file has class defaults, d_ff 2048 and 3 of 12 layers sparse: 32128*768 + 2*32*12 +
//               12*(4*768*768 + 2*768) + 12*(8*768*768 + 3*768) + 2*768 + 18*2*768*2048 + 6*(8*2*768*2048 + 768*8)
constexpr Alone kAlone[] = {
    {"meta-llama--Llama-2-7b-hf.json", 6738415616},
    {"meta-llama--Meta-Llama-3-70B.json", 70553706496},
    {"derived/meta-llama--Llama-2-13b-hf.json", 13015864320},
    {"derived/meta-llama--Meta-Llama-3-8B.json", 8030261248},
    {"derived/THUDM--GLM-4.5.json", 352797829024 - 92 * 256},
    {"derived/THUDM--GLM-4.5-Air.json", 106852251264},
    {"derived/allenai--OLMoE-1B-7B-0924.json", 6919161856 + 16LL * 64 * 3 * 2048 * 1024},
    {"derived/microsoft--Phi-3.5-MoE-instruct.json", 41872793600},
    {"derived/google--switch-base-8.json", 317312256},
};

struct Refused {
  const char* file;
  const char* feature;
};

constexpr Refused kNotModelled[] = {
    {"Qwen--Qwen3-Next-80B-A3B.json", "qwen3_next (linear attention (gated delta rule) in 3 of 4 layers)"},
    {"Qwen--Qwen3.5-122B-A10B.json", "qwen3_5_moe (linear attention (gated delta rule) in 3 of 4 layers)"},
    {"Qwen--Qwen3.5-35B-A3B.json", "qwen3_5_moe (linear attention (gated delta rule) in 3 of 4 layers)"},
    {"XiaomiMiMo--MiMo-V2-Flash.json",
     "mimo_v2_flash (windowed layers with other KV heads than full ones, and values narrower than keys)"},
    {"deepseek-ai--DeepSeek-V3.2.json", "deepseek_v32 (sparse attention: an indexer chooses the keys of every query)"},
    {"deepseek-ai--DeepSeek-V4-Flash.json",
     "deepseek_v4 (compressed sparse attention with an indexer, and hyper-connections)"},
    {"deepseek-ai--DeepSeek-V4-Pro.json",
     "deepseek_v4 (compressed sparse attention with an indexer, and hyper-connections)"},
    {"nvidia--NVIDIA-Nemotron-3-Nano-30B-A3B-BF16.json",
     "nemotron_h (state-space layers (Mamba-2), and layers of one block each)"},
    {"derived/MiniMaxAI--MiniMax-M1-80k.json", "minimax_m1 (linear attention (lightning) in 7 of 8 layers)"},
    {"derived/ai21labs--Jamba-v0.1.json", "jamba (state-space layers (Mamba))"},
};

constexpr Refused kOfOtherTools[] = {
    {"Llama-2-70b_llm-analysis.json", "n_head: got a model file of llm-analysis"},
    {"deepseek_inference_config_16B.json", "n_activated_experts: got a model file of DeepSeek's own inference code"},
    {"deepseek_inference_config_236B.json", "n_activated_experts: got a model file of DeepSeek's own inference code"},
    {"deepseek_inference_config_671B.json", "n_activated_experts: got a model file of DeepSeek's own inference code"},
};

}  // namespace

TEST_CASE("Published config.json files load unchanged and equal their zoo twins", "[llm]") {
  for (const Twin& twin : kTwins) {
    const std::string file = testing::shared_file(kFolder + twin.file);
    if (file.empty()) continue;
    INFO(twin.file);
    const Architecture published = load_architecture(file);
    CHECK(published.name == fs::path{file}.stem());
    check_same(published, load_architecture(twin.zoo));
  }
}

TEST_CASE("Published config.json files without a zoo twin have the published sizes", "[llm]") {
  for (const Alone& alone : kAlone) {
    const std::string file = testing::shared_file(kFolder + alone.file);
    if (file.empty()) continue;
    INFO(alone.file);
    CHECK(count_parameters(load_architecture(file)).total == alone.total);
  }
}

TEST_CASE("Published configs with layers that are not modelled are refused by the name of what is missing", "[llm]") {
  for (const Refused& refused : kNotModelled) {
    const std::string file = testing::shared_file(kFolder + refused.file);
    if (file.empty()) continue;
    CHECK_THROWS_AS(load_architecture(file), NotModelledYet);
    CHECK_THROWS_WITH(load_architecture(file), Contains("model_type: " + std::string{refused.feature} +
                                                        " is not modelled yet; use one of mixtral, llama"));
  }
}

TEST_CASE("Model files of other tools are refused as theirs", "[llm]") {
  for (const Refused& refused : kOfOtherTools) {
    const std::string file = testing::shared_file(kFolder + refused.file);
    if (file.empty()) continue;
    CHECK_THROWS_WITH(load_architecture(file),
                      Contains(std::string{refused.feature} + ", expected a Hugging Face config.json"));
  }
}

TEST_CASE("Every config file of the collection is exact or refused, none is left", "[llm]") {
  const std::string folder = testing::shared_file(kFolder);
  if (folder.empty()) return;
  std::set<std::string> known;
  for (const Twin& twin : kTwins) known.insert(twin.file);
  for (const Alone& alone : kAlone) known.insert(alone.file);
  for (const Refused& refused : kNotModelled) known.insert(refused.file);
  for (const Refused& refused : kOfOtherTools) known.insert(refused.file);
  std::set<std::string> found;
  for (const auto& entry : fs::recursive_directory_iterator{folder})
    if (entry.path().extension() == ".json") found.insert(fs::relative(entry.path(), folder).string());
  CHECK(found == known);
}

TEST_CASE("A file for text and images is read as its text part, and says so", "[llm]") {
  std::string text = testing::shared_file(kFolder + "meta-llama--Llama-4-Scout-17B-16E-Instruct.json");
  if (text.empty()) return;
  text = read_text_file(text, 1 << 20);
  CHECK(parse_architecture(text, "scout.json").left_out.empty());
  text.insert(1, "\"vision_config\": {\"hidden_size\": 1408}, ");
  CHECK(parse_architecture(text, "scout.json").left_out ==
        std::vector<std::string>{"vision_config: the model is its text part"});
}
