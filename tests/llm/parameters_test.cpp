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
    {"deepseek-v2", 235741434880, 21375800320, 20851512320, 20327224320, 23592960, 69120},
    {"kimi-k2", 1026408232448, 32861500928, 31687095808, 30512690688, 44040192, 70272},
    {"llama-4-maverick", 400711848960, 17184691200, 16150205440, 15115719680, 125829120, 196608},
    {"gpt-oss-120b", 116829156672, 5711982912, 5132849472, 4553716032, 24891840, 73728},
    {"gpt-oss-20b", 20914757184, 4187440704, 3608307264, 3029173824, 24891840, 49152},
    {"olmoe-1b-7b", 6919161856, 1282017280, 1178994688, 1075972096, 6291456, 131072},
    {"dbrx", 131596523520, 36469708800, 35853146112, 35236583424, 198180864, 163840},
    {"deepseek-67b", 67425001472, 67425001472, 66586140672, 65747279872, 0, 389120},
    // An encoder-decoder's token: 2 x heads x 64 x 2 B in every decoder layer; not in the table
    {"t5-base", 222903552, 222903552, 222903552, 198229248, 0, 36864},
    {"switch-base-8", 619339008, 222977280, 222977280, 198302976, 4718592, 36864},
    {"switch-base-128", 7415217408, 224083200, 224083200, 199408896, 4718592, 36864},
    {"switch-c-2048", 1571308972448, 1728326048, 1728326048, 1661499808, 25559040, 122880},
    // Not in the table, by hand below.
    {"deepseek-moe-16b", 16375728128, 2828650496, 2618935296, 2409220096, 8650752, 229376},
    {"glm-4.5", 352797829024, 33632266144, 32856319904, 32080373664, 23592960, 376832},
    {"glm-4.5-air", 106852251264, 13424129664, 12803372672, 12182615680, 17301504, 188416},
    {"qwen1.5-moe-a2.7b", 14315784192, 2689173504, 2378008576, 2066843648, 8650752, 196608},
    {"qwen2-57b-a14b", 57408658944, 14249270784, 13704732160, 13160193536, 27525120, 57344},
    {"qwen2.5-72b", 72706203648, 72706203648, 71460495360, 70214787072, 0, 327680},
    {"qwen3-coder-480b-a35b", 480154875392, 35474765312, 34541270528, 33607775744, 47185920, 253952},
    {"mistral-7b", 7241732096, 7241732096, 7110660096, 6979588096, 0, 131072},
    {"llama-4-scout", 107769861120, 17172894720, 16138408960, 15103923200, 125829120, 196608},
    {"minimax-m2", 228689764864, 11030553088, 10415956480, 9801359872, 14155776, 253952},
    {"phi-3.5-moe", 41873153344, 6640999744, 6509665600, 6378299392, 78643200, 131072},
    {"grok-1", 315684820992, 83756587008, 83756587008, 82951280640, 603979776, 262144},
    {"ernie-4.5-21b-a3b", 21825437888, 3352150208, 3352150208, 3087384768, 11796480, 57344},
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

TEST_CASE("DeepSeek-V3's MTP module holds 11,610,068,224 parameters of its own", "[llm]") {
  const ParameterCounts counts = count_parameters(load_architecture("deepseek-v3"));
  CHECK(counts.mtp == 11610068224);
  CHECK(counts.total + counts.mtp == 682636487424);
  CHECK(count_parameters(load_architecture("mixtral-8x7b")).mtp == 0);
}

// Weight files of GLM-4.5 hold the MTP module with copies of embedding and head: what the Hub counts.
TEST_CASE("GLM-4.5 with its MTP module counts what its weight files do", "[llm]") {
  const ParameterCounts air = count_parameters(load_architecture("glm-4.5-air"));
  CHECK(air.mtp == 2375059584);
  CHECK(air.total + air.mtp + air[TensorClass::embedding] + air[TensorClass::head] == 110468824832);
  const ParameterCounts large = count_parameters(load_architecture("glm-4.5"));
  CHECK(large.total + large.mtp + large[TensorClass::embedding] + large[TensorClass::head] == 358337791296);
}

TEST_CASE("DeepSeek-V3 with its MTP module's copies of embedding and head is the 685B of its label", "[llm]") {
  const ParameterCounts counts = count_parameters(load_architecture("deepseek-v3"));
  CHECK(counts.total + counts.mtp + counts[TensorClass::embedding] + counts[TensorClass::head] == 684489845504);
}

TEST_CASE("gpt-oss-120b is stored in 65,248,815,744 bytes: experts in mxfp4, their biases and all else in bf16",
          "[llm]") {
  const Architecture model = load_architecture("gpt-oss-120b");
  const Precision precision = checkpoint_precision(model);
  CHECK(precision.experts == NumberFormat::mxfp4);
  CHECK(precision.weights == NumberFormat::bf16);
  // 36 * 128 experts * (24,883,200 weights * 4.25 bit + 8,640 biases * 16 bit), and 2 bytes for all else
  CHECK(total_weight_bytes(model, precision).value() == 65248815744);
  CHECK(gigabytes(total_weight_bytes(model, precision)) == Approx(65.25).epsilon(1e-4));
}

TEST_CASE("An expert of DeepSeek-V3 takes 24.77 MB in nvfp4", "[llm]") {
  const Architecture model = load_architecture("deepseek-v3");
  CHECK(expert_bytes(model, NumberFormat::nvfp4).value() == 24772608);  // 44,040,192 * 4.5 / 8
  // int8: 44,040,192 bytes, and 2 bytes for each of 2 * 2048 + 7168 output channels
  CHECK(expert_bytes(model, NumberFormat::int8).value() == Approx(44040192 + 2.0 * (2 * 2048 + 7168)));
  CHECK(8 * expert_bytes(model, NumberFormat::nvfp4, 8).value() == 24772608);
}

TEST_CASE("Mixtral with 3-bit experts and 4-bit attention takes a fifth (claim 19)", "[llm]") {
  Precision precision = precision_of(NumberFormat::int4_group128_asymmetric);
  precision.experts = NumberFormat::int3_group128;
  const Architecture model = load_architecture("mixtral-8x7b");
  CHECK(gigabytes(total_weight_bytes(model, precision)) == Approx(18.97).epsilon(5e-4));
  CHECK(total_weight_bytes(model, {}) / total_weight_bytes(model, precision) == Approx(4.923).epsilon(1e-3));
}

TEST_CASE("A layer with a window keeps no more than the window", "[llm]") {
  const Architecture oss = load_architecture("gpt-oss-120b");  // 18 layers slide over 128, 18 see everything
  // 2 * 8 heads * 64 * 2 B = 2,048 B per layer and token
  CHECK(kv_bytes_per_layer(oss, NumberFormat::bf16).value() == 2048);
  CHECK(kv_bytes_of_sequence(oss, NumberFormat::bf16, 100).value() == 36 * 100 * 2048.0);
  CHECK(kv_bytes_of_sequence(oss, NumberFormat::bf16, 10000).value() == 18 * (10000 + 128) * 2048.0);
  const Architecture scout = load_architecture("llama-4-scout");  // 36 layers in chunks of 8,192
  CHECK(scout.windowed_layers() == 36);
  CHECK(kv_bytes_of_sequence(scout, NumberFormat::bf16, 1e6).value() == (12 * 1e6 + 36 * 8192) * 4096);
  const Architecture mixtral = load_architecture("mixtral-8x7b");
  CHECK(kv_bytes_of_sequence(mixtral, NumberFormat::bf16, 1000, 8).value() == 1000 * 131072.0 / 8);
}

TEST_CASE("On a TP rank attention keeps its share of heads, and a KV head at least", "[llm]") {
  const Architecture oss = load_architecture("gpt-oss-120b");
  // 8 heads of 64: 2 * 2880 * 512; one KV head: 2 * 2880 * 64; biases 512 + 2 * 64 + 2880; 8 sinks
  CHECK(attention_parameters(oss, 8) == 2 * 2880 * 512 + 2 * 2880 * 64 + 512 + 128 + 2880 + 8);
  CHECK(attention_parameters(oss, 1) == count_parameters(oss).attention_per_layer);
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
  // q 4096, k and v 1024 each
  CHECK(count_parameters(model).attention_per_layer == plain + 4096 + 2 * 1024);
  model.attention.output_bias = true;
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
