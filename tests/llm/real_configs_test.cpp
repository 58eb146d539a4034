#include <filesystem>
#include <set>

#include "models/llm/parameters.hpp"
#include "models/units/error.hpp"
#include "tests/catch_compat.hpp"
#include "tests/shared_data.hpp"

using namespace moesim;

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
};

struct Alone {
  const char* file;
  std::int64_t total;
};

// Files without a twin, by hand:
//   Qwen3-Coder-480B 2*151936*6144 + 6144 + 62*(2*6144*12288 + 2*6144*1024 + 256 + 2*6144 + 6144*160 + 160*3*6144*2560)
//   Llama-2-7B  2*32000*4096 + 4096 + 32*(4*4096*4096 + 3*4096*11008 + 2*4096)
//   Llama-3-70B as Llama-3.1-70B, Llama-3-8B as Llama-3.1-8B
constexpr Alone kAlone[] = {
    {"Qwen--Qwen3-Coder-480B-A35B-Instruct.json", 480154875392},
    {"meta-llama--Llama-2-7b-hf.json", 6738415616},
    {"meta-llama--Meta-Llama-3-70B.json", 70553706496},
    {"derived/meta-llama--Llama-2-13b-hf.json", 13015864320},
    {"derived/meta-llama--Meta-Llama-3-8B.json", 8030261248},
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

TEST_CASE("Every other published config is refused by name, never misread", "[llm]") {
  const std::string folder = testing::shared_file(kFolder);
  if (folder.empty()) return;
  std::set<std::string> known;
  for (const Twin& twin : kTwins) known.insert(twin.file);
  for (const Alone& alone : kAlone) known.insert(alone.file);
  int refused = 0;
  for (const auto& entry : fs::recursive_directory_iterator{folder}) {
    const std::string name = fs::relative(entry.path(), folder).string();
    if (entry.path().extension() != ".json" || known.count(name) > 0) continue;
    INFO(name);
    const bool other_tool =
        name.find("inference_config") != std::string::npos || name.find("llm-analysis") != std::string::npos;
    if (other_tool) {
      CHECK_THROWS_AS(load_architecture(entry.path().string()), InputError);
    } else {
      CHECK_THROWS_AS(load_architecture(entry.path().string()), NotModelledYet);
    }
    ++refused;
  }
  CHECK(refused > 0);
}

TEST_CASE("A config of another tool is refused at its first foreign key", "[llm]") {
  const std::string file = testing::shared_file(kFolder + "Llama-2-70b_llm-analysis.json");
  if (file.empty()) return;
  CHECK_THROWS_WITH(load_architecture(file),
                    file + ":2:5: name: got an unknown key, expected a key of this model class");
}
