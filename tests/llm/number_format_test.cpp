#include "models/llm/number_format.hpp"

#include "models/units/error.hpp"
#include "tests/catch_compat.hpp"

using namespace moesim;

TEST_CASE("A stored weight takes its element and its share of the scale", "[llm]") {
  CHECK(bits_per_element(NumberFormat::bf16) == 16);
  CHECK(bits_per_element(NumberFormat::fp16) == 16);
  CHECK(bits_per_element(NumberFormat::fp8_block) == 8 + 32.0 / 16384);  // one fp32 per 128 x 128
  CHECK(bits_per_element(NumberFormat::fp8_block) == 8.001953125);
  CHECK(bits_per_element(NumberFormat::fp8) == 8);
  CHECK(bits_per_element(NumberFormat::mxfp8) == 8.25);  // one e8m0 per 32
  CHECK(bits_per_element(NumberFormat::int8) == 8);
  CHECK(bits_per_element(NumberFormat::int4_group128) == 4.125);  // one fp16 per 128
  CHECK(bits_per_element(NumberFormat::int4_group32) == 4.5);
  CHECK(bits_per_element(NumberFormat::mxfp4) == 4.25);
  CHECK(bits_per_element(NumberFormat::mxfp4_mxfp8) == 4.25);
  CHECK(bits_per_element(NumberFormat::nvfp4) == 4.5);  // one e4m3 per 16
  CHECK(bytes_of(1000, NumberFormat::int4_group128).value() == 515.625);
}

TEST_CASE("Asymmetric groups of 128 store an fp16 scale and a zero point of as many bits", "[llm]") {
  CHECK(bits_per_element(NumberFormat::int4_group128_asymmetric) == 4.15625);  // 4 + (16 + 4) / 128
  CHECK(bits_per_element(NumberFormat::int3_group128) == 3.1484375);           // 3 + (16 + 3) / 128
  CHECK(bits_per_element(NumberFormat::int2_group128) == 2.140625);            // 2 + (16 + 2) / 128
}

TEST_CASE("An int8 channel's scale weighs less the longer the channel", "[llm]") {
  CHECK(bits_per_element(NumberFormat::int8, 4096) == 8 + 16.0 / 4096);
  CHECK(bits_per_element(NumberFormat::mxfp4, 4096) == 4.25);
  // 100 channels of 1,000 bytes and 2 bytes of scale
  CHECK(matrix_bytes(100, 1000, NumberFormat::int8).value() == Approx(100 * 1002));
}

TEST_CASE("An fp8 vector has a scale for every 128 elements, not for every block", "[llm]") {
  CHECK(bits_per_vector_element(NumberFormat::fp8_block) == 8.25);
  // DeepEP's low-latency message of a V3 token: 7168 + 4 * 56 scales
  CHECK(vector_bytes_of(7168, NumberFormat::fp8_block).value() == 7392);
  CHECK(vector_bytes_of(7168, NumberFormat::bf16).value() == 14336);
  CHECK(vector_bytes_of(7168, NumberFormat::nvfp4).value() == 7168.0 / 2 + 7168.0 / 16);
}

TEST_CASE("Every format name reads back to its format", "[llm]") {
  for (const std::string& name : number_format_names()) CHECK(name_of(parse_number_format(name, "x")) == name);
  CHECK(number_format_names().size() == 14);
}

TEST_CASE("Eight-bit weights run on activations of their own format, narrower ones on bf16", "[llm]") {
  for (const NumberFormat weights :
       {NumberFormat::int4_group128, NumberFormat::int4_group32, NumberFormat::int4_group128_asymmetric,
        NumberFormat::int3_group128, NumberFormat::int2_group128, NumberFormat::mxfp4, NumberFormat::nvfp4})
    CHECK(activation_format(weights) == NumberFormat::bf16);
  CHECK(activation_format(NumberFormat::fp8_block) == NumberFormat::fp8_block);
  CHECK(activation_format(NumberFormat::mxfp8) == NumberFormat::mxfp8);
  CHECK(activation_format(NumberFormat::mxfp4_mxfp8) == NumberFormat::mxfp8);
  const Precision precision = precision_of(NumberFormat::fp8_block);
  CHECK(precision.experts == NumberFormat::fp8_block);
  CHECK(precision.dispatch == NumberFormat::fp8_block);
  CHECK(precision.embedding == NumberFormat::bf16);
  CHECK(precision.kv == NumberFormat::bf16);
  CHECK(precision.combine == NumberFormat::bf16);
}

TEST_CASE("A format of nowhere is refused with the nearest name", "[llm]") {
  REQUIRE_THROWS_WITH(parse_number_format("fp8_blok", "precision.weights"),
                      "precision.weights: got fp8_blok, expected one of bf16, fp16, fp8_block, fp8, mxfp8, int8, "
                      "int4_group128, int4_group32, int4_group128_asymmetric, int3_group128, int2_group128, mxfp4, "
                      "mxfp4_mxfp8, nvfp4; did you mean fp8_block?");
}
