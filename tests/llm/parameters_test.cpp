#include "models/llm/parameters.hpp"

#include <numeric>

#include "models/llm/ops.hpp"
#include "models/units/resources.hpp"
#include "tests/catch_compat.hpp"

using namespace moesim;

namespace {

struct Row {
  const char* model;
  std::int64_t total, active, without_embedding, without_embedding_head, per_expert;
  double kv_bytes;
};

// Oracle table B.3, exact integers. Llama-3.1-8B, -70B and Qwen3-8B, -32B by the same formulas by hand:
//   Llama-3.1-8B  2*128256*4096 + 4096 + 32*(2*4096*4096 + 2*4096*1024 + 3*4096*14336 + 2*4096) = 8,030,261,248
//   Llama-3.1-70B 2*128256*8192 + 8192 + 80*(2*8192*8192 + 2*8192*1024 + 3*8192*28672 + 2*8192) = 70,553,706,496
//   Qwen3-8B      2*151936*4096 + 4096 + 36*(2*4096*4096 + 2*4096*1024 + 256 + 3*4096*12288 + 2*4096) = 8,190,735,360
//   Qwen3-32B     2*151936*5120 + 5120 + 64*(2*5120*8192 + 2*5120*1024 + 256 + 3*5120*25600 + 2*5120) = 32,762,123,264
constexpr Row kTable[] = {
    {"mixtral-8x7b", 46702792704, 12879925248, 12748853248, 12617781248, 176160768, 131072},
    {"mixtral-8x22b", 140620634112, 39152031744, 38955423744, 38758815744, 301989888, 229376},
    {"deepseek-v2-lite", 15706484224, 2661150208, 2451435008, 2241719808, 8650752, 31104},
    {"deepseek-v3", 671026419200, 37552297472, 36625618432, 35698939392, 44040192, 70272},
    {"deepseek-r1", 671026419200, 37552297472, 36625618432, 35698939392, 44040192, 70272},
    {"qwen3-30b-a3b", 30532122624, 3353032704, 3041867776, 2730702848, 4718592, 98304},
    {"qwen3-235b-a22b", 235093634560, 22190763520, 21568433664, 20946103808, 18874368, 192512},
    {"llama-2-13b", 13015864320, 13015864320, 12852024320, 12688184320, 0, 819200},
    {"llama-2-70b", 68976648192, 68976648192, 68714504192, 68452360192, 0, 327680},
    {"llama-3.1-8b", 8030261248, 8030261248, 7504924672, 6979588096, 0, 131072},
    {"llama-3.1-70b", 70553706496, 70553706496, 69503033344, 68452360192, 0, 327680},
    {"llama-3.1-405b", 405853388800, 405853388800, 403752042496, 401650696192, 0, 516096},
    {"qwen3-8b", 8190735360, 8190735360, 7568405504, 6946075648, 0, 147456},
    {"qwen3-32b", 32762123264, 32762123264, 31984210944, 31206298624, 0, 262144},
};

double gigabytes(Bytes bytes) {
  return bytes.value() / 1e9;
}

}  // namespace

TEST_CASE("Parameters equal the published shapes' closed forms, to the last one", "[llm]") {
  for (const Row& row : kTable) {
    INFO(row.model);
    const Architecture model = load_architecture(row.model);
    const ParameterCounts counts = count_parameters(model);
    CHECK(counts.total == row.total);
    CHECK(counts.active == row.active);
    CHECK(counts.active_without_embedding == row.without_embedding);
    CHECK(counts.active_without_embedding_head == row.without_embedding_head);
    CHECK(counts.per_expert == row.per_expert);
    CHECK(kv_bytes_per_token(model, NumberFormat::bf16).value() == row.kv_bytes);
    CHECK(std::accumulate(counts.of.begin(), counts.of.end(), std::int64_t{0}) == row.total);
    CHECK(approximate_total(model) == Approx(static_cast<double>(row.total + counts.mtp)).epsilon(1e-12));
  }
}

TEST_CASE("Every model of the zoo has a row in the table of parameters", "[llm]") {
  CHECK(resource_names(Resource::zoo).size() == std::size(kTable));
}

TEST_CASE("DeepSeek-V2 with its query latent and 160 experts counts 235,741,434,880", "[llm]") {
  const Architecture model =
      parse_architecture(R"({"model_type": "deepseek_v2", "vocab_size": 102400, "hidden_size": 5120,
    "num_hidden_layers": 60, "num_attention_heads": 128, "q_lora_rank": 1536, "kv_lora_rank": 512, "v_head_dim": 128,
    "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "intermediate_size": 12288, "first_k_dense_replace": 1,
    "n_routed_experts": 160, "num_experts_per_tok": 6, "moe_intermediate_size": 1536, "n_shared_experts": 2,
    "topk_method": "group_limited_greedy", "n_group": 8, "topk_group": 3, "max_position_embeddings": 163840})",
                         "deepseek-v2");
  const ParameterCounts counts = count_parameters(model);
  CHECK(counts.total == 235741434880);
  CHECK(counts.active_without_embedding == 20851512320);
  CHECK(model.moe->router.group_score == GroupScore::max);
  CHECK(model.moe->router.kept_groups == 3);
}

TEST_CASE("DeepSeek-V3's MTP module holds 11,610,068,224 parameters of its own", "[llm]") {
  const ParameterCounts counts = count_parameters(load_architecture("deepseek-v3"));
  CHECK(counts.mtp == 11610068224);
  CHECK(counts.total + counts.mtp == 682636487424);
  CHECK(count_parameters(load_architecture("mixtral-8x7b")).mtp == 0);
}

TEST_CASE("A tied embedding is counted once and still multiplied as the head", "[llm]") {
  Architecture model = load_architecture("qwen3-8b");
  const ParameterCounts untied = count_parameters(model);
  model.tied_embedding = true;
  const ParameterCounts tied = count_parameters(model);
  const std::int64_t embedding = 151936LL * 4096;
  CHECK(tied.total == untied.total - embedding);
  CHECK(tied[TensorClass::head] == 0);
  CHECK(tied.active_without_embedding == tied.active);  // the head's product needs it
  CHECK(tied.active_without_embedding_head == untied.active_without_embedding_head);
  CHECK(weights_read_per_step(model, {}, 1).value() == 2.0 * static_cast<double>(tied.active));
}

TEST_CASE("Biases of the attention projections are counted", "[llm]") {
  Architecture model = load_architecture("llama-3.1-8b");
  const std::int64_t plain = count_parameters(model).attention_per_layer;
  model.attention.bias = true;
  // q 4096, k and v 1024 each, o 4096
  CHECK(count_parameters(model).attention_per_layer == plain + 4096 + 2 * 1024 + 4096);
}

TEST_CASE("DeepSeek-V3 in fp8 blocks needs 673 GB: embedding, head, router and norms stay bf16", "[llm]") {
  const Architecture model = load_architecture("deepseek-v3");
  const Precision precision = precision_of(NumberFormat::fp8_block);
  const auto bytes = weight_bytes(model, precision);
  // 58 * 256 experts * 44,040,192 * 8.001953125 / 8
  CHECK(bytes[static_cast<std::size_t>(TensorClass::experts)].value() == 58.0 * 256 * 44040192 * 8.001953125 / 8);
  CHECK(bytes[static_cast<std::size_t>(TensorClass::embedding)].value() == 129280.0 * 7168 * 2);
  CHECK(bytes[static_cast<std::size_t>(TensorClass::router)].value() == 58.0 * (256 * 7168 + 256) * 2);
  CHECK(gigabytes(total_weight_bytes(model, precision)) == Approx(673.0).epsilon(1e-3));
  CHECK(total_weight_bytes(model, {}).value() == 2.0 * 671026419200);
}

TEST_CASE("Four-bit groups take 4.125 bits, on the linear layers only", "[llm]") {
  const Architecture model = load_architecture("mixtral-8x7b");
  // 32 * 8 experts * 176,160,768 + 32 attention * 41,943,040 at 4.125 bits; 2 * 32000 * 4096 embedding and head,
  // 32 * 32,768 router and 65 * 4096 norms at 16 bits
  const double linear = 32.0 * 8 * 176160768 + 32.0 * 41943040, rest = 2.0 * 32000 * 4096 + 32.0 * 32768 + 65.0 * 4096;
  CHECK(total_weight_bytes(model, precision_of(NumberFormat::int4_group128)).value() == linear * 4.125 / 8 + rest * 2);
}

TEST_CASE("The KV cache of grouped heads shrinks with TP until one head is left, a latent cache never", "[llm]") {
  const Architecture mixtral = load_architecture("mixtral-8x7b"), v3 = load_architecture("deepseek-v3");
  CHECK(kv_bytes_per_token(mixtral, NumberFormat::bf16, 8).value() == 131072.0 / 8);
  CHECK(kv_bytes_per_token(mixtral, NumberFormat::bf16, 16).value() == 131072.0 / 8);  // 8 KV heads, replicated
  CHECK(kv_bytes_per_token(v3, NumberFormat::bf16, 16).value() == 70272);
  CHECK(kv_bytes_per_token(v3, NumberFormat::fp8).value() == 35136);
}

TEST_CASE("A decode step can be no faster than reading its weights", "[llm]") {
  const Architecture mixtral = load_architecture("mixtral-8x7b");
  const auto floor_ms = [&](double tokens, double bytes_per_s) {
    return weights_read_per_step(mixtral, {}, tokens).value() / bytes_per_s * 1e3;
  };
  SECTION("batch 1 reads the active weights without the input embedding (oracle L26)") {
    CHECK(weights_read_per_step(mixtral, {}, 1).value() == Approx(2.0 * 12748853248));
    CHECK(gigabytes(weights_read_per_step(mixtral, {}, 1)) == Approx(25.498).epsilon(1e-4));
    CHECK(floor_ms(1, 3.35e12) == Approx(7.611).epsilon(1e-3));
    CHECK(floor_ms(1, 4.8e12) == Approx(5.312).epsilon(1e-3));
    CHECK(weights_read_per_step(load_architecture("llama-2-13b"), {}, 1).value() / 3.35e9 ==
          Approx(7.673).epsilon(1e-3));
    CHECK(weights_read_per_step(load_architecture("llama-2-70b"), {}, 1).value() / 3.35e9 ==
          Approx(41.02).epsilon(1e-3));
  }
  SECTION("larger batches touch more experts (oracle L27, H200)") {
    CHECK(floor_ms(4, 4.8e12) == Approx(13.46).epsilon(1e-3));
    CHECK(floor_ms(16, 4.8e12) == Approx(19.22).epsilon(1e-3));
    CHECK(floor_ms(64, 4.8e12) == Approx(19.41).epsilon(1e-3));
    CHECK(64 / floor_ms(64, 4.8e12) * 1e3 == Approx(3298).epsilon(1e-3));
  }
}
