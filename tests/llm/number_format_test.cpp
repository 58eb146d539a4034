#include "models/llm/number_format.hpp"

#include "models/units/error.hpp"
#include "tests/catch_compat.hpp"

using namespace moesim;

TEST_CASE("A stored weight takes its element and its share of the scale", "[llm]") {
  CHECK(bits_per_element(NumberFormat::bf16) == 16);
  CHECK(bits_per_element(NumberFormat::fp8_block) == 8 + 32.0 / 16384);  // one fp32 per 128 x 128
  CHECK(bits_per_element(NumberFormat::fp8) == 8);
  CHECK(bits_per_element(NumberFormat::int8) == 8);
  CHECK(bits_per_element(NumberFormat::int4_group128) == 4.125);  // one fp16 per 128
  CHECK(bytes_of(1000, NumberFormat::int4_group128).value() == 515.625);
}

TEST_CASE("An fp8 vector has a scale for every 128 elements, not for every block", "[llm]") {
  CHECK(bits_per_vector_element(NumberFormat::fp8_block) == 8.25);
  // DeepEP's low-latency message of a V3 token: 7168 + 4 * 56 scales
  CHECK(vector_bytes_of(7168, NumberFormat::fp8_block).value() == 7392);
  CHECK(vector_bytes_of(7168, NumberFormat::bf16).value() == 14336);
}

TEST_CASE("Every format name reads back to its format", "[llm]") {
  for (const std::string& name : number_format_names()) CHECK(name_of(parse_number_format(name, "x")) == name);
  CHECK(number_format_names().size() == 5);
}

TEST_CASE("Four-bit weights run on bf16 activations, eight-bit ones on their own format", "[llm]") {
  CHECK(activation_format(NumberFormat::int4_group128) == NumberFormat::bf16);
  CHECK(activation_format(NumberFormat::fp8_block) == NumberFormat::fp8_block);
  const Precision precision = precision_of(NumberFormat::fp8_block);
  CHECK(precision.experts == NumberFormat::fp8_block);
  CHECK(precision.dispatch == NumberFormat::fp8_block);
  CHECK(precision.embedding == NumberFormat::bf16);
  CHECK(precision.kv == NumberFormat::bf16);
  CHECK(precision.combine == NumberFormat::bf16);
}

TEST_CASE("A format of later or of nowhere is refused by name", "[llm]") {
  const std::string choices = "one of bf16, fp8_block, fp8, int8, int4_group128";
  REQUIRE_THROWS_WITH(parse_number_format("nvfp4", "precision.experts"),
                      "precision.experts: nvfp4 is not modelled yet; use " + choices);
  REQUIRE_THROWS_AS(parse_number_format("mxfp8", "p"), NotModelledYet);
  REQUIRE_THROWS_AS(parse_number_format("mxfp4", "p"), NotModelledYet);
  REQUIRE_THROWS_AS(parse_number_format("int3", "p"), NotModelledYet);
  REQUIRE_THROWS_AS(parse_number_format("int2_group128", "p"), NotModelledYet);
  REQUIRE_THROWS_WITH(parse_number_format("fp8_blok", "precision.weights"),
                      "precision.weights: got fp8_blok, expected " + choices + "; did you mean fp8_block?");
}
