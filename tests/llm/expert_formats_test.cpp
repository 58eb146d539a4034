#include "models/llm/expert_formats.hpp"

#include <numeric>

#include "models/llm/expert_slices.hpp"
#include "models/llm/extra_ops.hpp"
#include "models/llm/parameters.hpp"
#include "models/units/error.hpp"
#include "models/units/random.hpp"
#include "tests/catch_compat.hpp"
#include "tests/llm/config_text.hpp"

using namespace moesim;

namespace {

/// 2 MoE layers of 8 experts, 3 * 64 * 128 = 24,576 weights each.
Architecture tiny() {
  return parse_architecture(testing::kMixtral, "tiny");
}

std::vector<double> loads_of(std::initializer_list<double> first, std::initializer_list<double> second) {
  std::vector<double> loads{first};
  loads.insert(loads.end(), second);
  return loads;
}

}  // namespace

TEST_CASE("Experts of one format weigh what the model says, whichever way they are counted", "[llm]") {
  for (const char* name : {"deepseek-v3", "gpt-oss-120b", "mixtral-8x7b"}) {
    const Architecture model = load_architecture(name);
    for (const NumberFormat format : {NumberFormat::bf16, NumberFormat::int8, NumberFormat::mxfp4}) {
      INFO(name << " " << name_of(format));
      Precision precision;
      precision.experts = format;
      const double expected = weight_bytes(model, precision)[static_cast<std::size_t>(TensorClass::experts)].value();
      CHECK(expert_weight_bytes(model, ExpertFormats{model, format}).value() == Approx(expected).epsilon(1e-12));
    }
  }
  CHECK(ExpertFormats{tiny(), NumberFormat::nvfp4}.uniform() == NumberFormat::nvfp4);
  CHECK_THROWS_AS((ExpertFormats{load_architecture("llama-2-13b"), NumberFormat::bf16}), std::invalid_argument);
}

TEST_CASE("A list of formats gives every layer the same experts", "[llm]") {
  const Architecture model = tiny();
  std::vector<NumberFormat> list(8, NumberFormat::bf16);
  list[1] = NumberFormat::int4_group128;
  list[7] = NumberFormat::int2_group128;
  const ExpertFormats formats = listed_formats(model, list, "precision.experts");
  CHECK(formats.of(0, 1) == NumberFormat::int4_group128);
  CHECK(formats.of(1, 7) == NumberFormat::int2_group128);
  CHECK_FALSE(formats.uniform().has_value());
  // 2 layers * 24,576 weights * (6 * 16 + 4.125 + 2.140625) bits
  CHECK(expert_weight_bytes(model, formats).value() == Approx(2 * 24576 * (96 + 4.125 + 2.140625) / 8));
  const std::vector<int> slots{1, 1, 0};
  CHECK(slot_weight_bytes(model, formats, 0, slots).value() == Approx(24576 * (16 + 2 * 4.125) / 8));
  CHECK(slot_weight_bytes(model, formats, 0, slots, 2).value() == Approx(24576 * (16 + 2 * 4.125) / 16));
  list.pop_back();
  CHECK_THROWS_WITH(listed_formats(model, list, "precision.experts"),
                    "precision.experts: got 7 formats, expected one for each of 8 experts");
}

TEST_CASE("Experts below the share of load are cold, in each layer by its own load", "[llm]") {
  const Architecture model = tiny();
  // shares of 1/20 and 2/20 are below 0.125 in the first layer; in the second all are even
  const auto loads = loads_of({5, 1, 4, 2, 5, 1, 1, 1}, {3, 3, 3, 3, 3, 3, 3, 3});
  const ExpertFormats formats =
      cold_expert_formats(model, loads, 0.125, NumberFormat::fp8_block, NumberFormat::int4_group128);
  for (const int hot : {0, 2, 4}) CHECK(formats.of(0, hot) == NumberFormat::fp8_block);
  for (const int cold : {1, 3, 5, 6, 7}) CHECK(formats.of(0, cold) == NumberFormat::int4_group128);
  for (int expert = 0; expert < 8; ++expert) CHECK(formats.of(1, expert) == NumberFormat::fp8_block);
  // 3 + 8 hot and 5 cold
  CHECK(expert_weight_bytes(model, formats).value() == Approx(24576 * (11 * 8.001953125 + 5 * 4.125) / 8));
}

TEST_CASE("Without load no expert is cold, and a share of more than all makes every one so", "[llm]") {
  const Architecture model = tiny();
  const std::vector<double> idle(16, 0.0), even(16, 1.0);
  CHECK(cold_expert_formats(model, idle, 0.5, NumberFormat::bf16, NumberFormat::mxfp4).uniform() == NumberFormat::bf16);
  CHECK(cold_expert_formats(model, even, 1.1, NumberFormat::bf16, NumberFormat::mxfp4).uniform() ==
        NumberFormat::mxfp4);
  CHECK_THROWS_WITH(
      cold_expert_formats(model, std::vector<double>(8, 1.0), 0.1, NumberFormat::bf16, NumberFormat::mxfp4),
      "8 loads for 2 layers of 8 experts");
  CHECK_THROWS_AS(
      cold_expert_formats(model, std::vector<double>(16, -1.0), 0.1, NumberFormat::bf16, NumberFormat::mxfp4),
      std::invalid_argument);
}

TEST_CASE("A lower bound on cold shares never stores more", "[llm]") {
  const Architecture model = tiny();
  Random random{11, Purpose::test, 0, 0};
  for (int round = 0; round < 50; ++round) {
    std::vector<double> loads(16);
    for (double& load : loads) load = static_cast<double>(random.below(100));
    Bytes before{1e18};
    for (const double share : {0.0, 0.05, 0.1, 0.2, 1.0}) {
      INFO("seed 11, round " << round << ", share " << share);
      const Bytes bytes = expert_weight_bytes(
          model, cold_expert_formats(model, loads, share, NumberFormat::bf16, NumberFormat::int3_group128));
      CHECK(bytes <= before);
      before = bytes;
    }
  }
}

TEST_CASE("Penalties are weighed by load, and an expert's own stands before that of all", "[llm]") {
  const Architecture model = tiny();
  std::vector<NumberFormat> list(8, NumberFormat::bf16);
  list[0] = list[1] = NumberFormat::int3_group128;
  const ExpertFormats formats = listed_formats(model, list, "p");
  QualityPenalties penalties;
  penalties.set(NumberFormat::int3_group128, 0.5);
  penalties.set(1, NumberFormat::int3_group128, 2);
  const auto loads = loads_of({10, 5, 5, 0, 0, 0, 0, 0}, {0, 0, 20, 0, 0, 0, 0, 0});
  // of 40 tokens: 10 at 0.5 and 5 at 2
  CHECK(load_weighted_penalty(formats, penalties, loads) == Approx((10 * 0.5 + 5 * 2.0) / 40));
  CHECK(load_weighted_penalty(formats, penalties, std::vector<double>(16, 0.0)) == 0);
}

TEST_CASE("A penalty that is needed and missing is named, one of an idle expert is not needed", "[llm]") {
  const Architecture model = tiny();
  std::vector<NumberFormat> list(8, NumberFormat::bf16);
  list[3] = NumberFormat::nvfp4;
  const ExpertFormats formats = listed_formats(model, list, "p");
  CHECK_THROWS_WITH(load_weighted_penalty(formats, {}, std::vector<double>(16, 1.0)),
                    "quality_penalty: got nothing for expert 3 in nvfp4, expected a penalty for every format that "
                    "experts are stored in");
  std::vector<double> loads(16, 1.0);
  loads[3] = loads[11] = 0;
  CHECK(load_weighted_penalty(formats, {}, loads) == 0);
}

TEST_CASE("An extra operation costs its share per token and its weights once", "[llm]") {
  const ExtraOp lora{"lora", Flops{100}, Bytes{8}, Bytes{1000}};
  CHECK(extra_op(lora, 5).flops.value() == 500);
  CHECK(extra_op(lora, 5).bytes.value() == 1040);
  CHECK(extra_op(lora, 5).kind == OpClass::extra);
  CHECK(name_of(OpClass::extra) == "extra");
  CHECK(extra_op(lora, 0).bytes.value() == 0);
  const std::vector<ExtraOp> both{lora, {"hypernetwork", {}, {}, Bytes{24}}};
  CHECK(extra_weight_bytes(both).value() == 1024);
}

TEST_CASE("A format whose blocks would be cut by a split is refused with both numbers", "[llm]") {
  const Architecture model = load_architecture("qwen3-30b-a3b");  // hidden 2048, experts of width 768
  for (const NumberFormat format : {NumberFormat::bf16, NumberFormat::int8, NumberFormat::nvfp4, NumberFormat::mxfp4}) {
    INFO(name_of(format));
    CHECK_NOTHROW(check_blocks(model, format, 8, "p"));  // 96 = 6 x 16 = 3 x 32
  }
  CHECK_NOTHROW(check_blocks(model, NumberFormat::int3_group128, 1, "p"));
  CHECK_NOTHROW(check_blocks(model, NumberFormat::int3_group128, 6, "p"));
  CHECK_THROWS_WITH(check_blocks(model, NumberFormat::int3_group128, 8, "precision.experts"),
                    "precision.experts: got int3_group128, expected a format whose blocks divide an expert's width "
                    "over 8 ranks of qwen3-30b-a3b: 96 weights are no multiple of 128");
  CHECK_THROWS_WITH(check_blocks(load_architecture("gpt-oss-20b"), NumberFormat::fp8_block, 1, "precision.experts"),
                    "precision.experts: got fp8_block, expected a format whose blocks divide the hidden size of "
                    "gpt-oss-20b: 2880 weights are no multiple of 128");
}

TEST_CASE("A slice in mxfp4 is padded to whole blocks in its width and in its bytes", "[llm]") {
  const Architecture model = load_architecture("gpt-oss-120b");  // experts of width 2880 = 90 x 32
  CHECK(expert_slice_width(model, NumberFormat::mxfp4, 1) == 2880);
  CHECK(expert_slice_width(model, NumberFormat::mxfp4, 2) == 1440);  // 45 blocks
  CHECK(expert_slice_width(model, NumberFormat::mxfp4, 4) == 736);   // 720 are 22.5 blocks
  CHECK(expert_slice_width(model, NumberFormat::mxfp4, 8) == 384);   // 360 are 11.25 blocks
  CHECK(expert_slice_width(model, NumberFormat::mxfp4_mxfp8, 8) == 384);
  CHECK(expert_slice_width(model, NumberFormat::bf16, 8) == 360);
  CHECK_NOTHROW(check_blocks(model, NumberFormat::mxfp4, 8, "p"));
  // Three matrices of 736 x 2880 in 4.25 bits; the biases 2 x 720 + 2880 in bf16.
  CHECK(expert_bytes(model, NumberFormat::mxfp4, 4).value() ==
        Approx(3 * 736 * 2880 * 4.25 / 8 + (2 * 720 + 2880) * 2));
}

TEST_CASE("The formats in use are listed once each", "[llm]") {
  std::vector<NumberFormat> list(8, NumberFormat::bf16);
  list[2] = list[5] = NumberFormat::nvfp4;
  CHECK(listed_formats(tiny(), list, "p").used() == std::vector<NumberFormat>{NumberFormat::bf16, NumberFormat::nvfp4});
  CHECK(ExpertFormats{tiny(), NumberFormat::fp8}.used() == std::vector<NumberFormat>{NumberFormat::fp8});
}
