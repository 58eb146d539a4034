// precision.experts as a list, precision.cold_experts, quality_penalty, offload, extra_ops.

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tests/catch_compat.hpp"
#include "tests/scenario/small_scenario.hpp"
#include "tests/scenario/yaml_to_json.hpp"

using namespace moesim;
using namespace moesim::testing;

namespace {

const std::string kDense = "model: llama-2-13b\ncluster: {gpu: h100-sxm}\nworkload: {tokens_per_gpu: 64}\n";

std::string repeated(const std::string& item, int times) {
  std::string text = item;
  for (int i = 1; i < times; ++i) text += ", " + item;
  return text;
}

}  // namespace

TEST_CASE("What is said of the experts' storage is read", "[scenario]") {
  const std::string text = kSmall +
                           "precision: {experts: fp8, cold_experts: {below: 0.05, format: int3_group128}}\n"
                           "quality_penalty: [{format: fp8, penalty: 0.1}, {format: int3_group128, penalty: 2},\n"
                           "                  {format: int3_group128, penalty: 3, expert: 7}]\n"
                           "extra_ops: [{name: lora, flops_per_token: 1e9, weights_bytes: 5e7}]\n"
                           "offload: {to: nvme, resident: 1, hit_rate: 0.5}\n";
  const Scenario scenario = parse(text);
  CHECK(scenario.precision.experts == NumberFormat::fp8_block);
  CHECK(scenario.experts.listed.empty());
  CHECK(scenario.experts.cold == NumberFormat::int3_group128);
  CHECK(scenario.experts.cold_below == 0.05);
  REQUIRE(scenario.experts.penalties);
  CHECK(scenario.experts.penalties->of(0, NumberFormat::fp8_block) == 0.1);
  CHECK(scenario.experts.penalties->of(0, NumberFormat::int3_group128) == 2);
  CHECK(scenario.experts.penalties->of(7, NumberFormat::int3_group128) == 3);
  REQUIRE(scenario.extra_ops.size() == 1);
  CHECK(scenario.extra_ops[0].flops_per_token.value() == 1e9);
  CHECK(scenario.extra_ops[0].bytes_per_token.value() == 0);
  CHECK(scenario.experts.offload.to == OffloadTo::nvme);
  CHECK(scenario.experts.offload.bandwidth.value() == 7e9);
  CHECK(scenario.experts.offload.hit_rate == 0.5);
  const nlohmann::json schema = nlohmann::json::parse(scenario_schema());
  CHECK(schema_complaint(schema, yaml_to_json(text)) == "");
  CHECK(scenario_hash(parse(resolved_yaml(scenario))) == scenario_hash(scenario));
}

TEST_CASE("A list of formats is one for each expert, and the widest is the model's", "[scenario]") {
  const std::string text = kSmall + "precision: {experts: [int8, fp8, " + repeated("int2_group128", 6) + "]}\n";
  const Scenario scenario = parse(text);
  REQUIRE(scenario.experts.listed.size() == 8);
  CHECK(scenario.experts.listed[1] == NumberFormat::fp8_block);
  CHECK(scenario.precision.experts == NumberFormat::fp8_block);  // 8.002 bit, int8 has 8
  CHECK(scenario.precision.dispatch == NumberFormat::fp8_block);
  CHECK(schema_complaint(nlohmann::json::parse(scenario_schema()), yaml_to_json(text)) == "");
  CHECK(scenario_hash(parse(resolved_yaml(scenario))) == scenario_hash(scenario));
  CHECK(parse(kSmall, {{"precision.experts", "[" + repeated("mxfp4", 8) + "]"}}).precision.experts ==
        NumberFormat::mxfp4);
  CHECK(refusal(kSmall + "precision: {experts: [" + repeated("int8", 7) + "]}\n") ==
        "s.yaml:4:22: precision.experts: got 7 formats, expected one for each of 8 experts");
  CHECK(refusal(kSmall + "precision: {experts: [int8, 5]}\n").find("s.yaml:4:29: precision.experts: got 5") == 0);
}

TEST_CASE("Experts come from the host at its PCIe link's achieved rate", "[scenario]") {
  const Scenario scenario = parse(kSmall + "offload: {to: host, resident: 0}\n");
  CHECK(scenario.experts.offload.bandwidth.value() == Approx(0.82 * 64e9));  // Gen5 x16
  CHECK_FALSE(scenario.experts.offload.hit_rate);
  CHECK(parse(kSmall).experts.offload.to == OffloadTo::none);
}

TEST_CASE("Storage that contradicts itself or the model is refused with the place", "[scenario]") {
  const auto at = [](const std::string& tail) { return refusal(kSmall + tail + "\n"); };
  CHECK(at("precision: {cold_experts: {below: 0.1}}") ==
        "s.yaml: precision.cold_experts.format: got nothing, expected a value: precision.cold_experts.below needs it");
  CHECK(at("precision: {cold_experts: {below: 0.1, format: bf16}}") ==
        "s.yaml:4:48: precision.cold_experts.format: got bf16, expected fewer bits than bf16, which the other experts "
        "have");
  CHECK(at("precision: {experts: [" + repeated("int8", 8) + "], cold_experts: {below: 0.1, format: nvfp4}}")
            .find("expected no such key where precision.experts lists every expert") != std::string::npos);
  CHECK(at("offload: {to: host}").find("offload.resident: got nothing") != std::string::npos);
  CHECK(at("offload: {resident: 2}").find("offload.resident: got 2, expected no such key") != std::string::npos);
  CHECK(at("offload: {to: host, resident: 0, hit_rate: 0.5}") ==
        "s.yaml:4:44: offload.hit_rate: got 0.5, expected 0 with offload.resident 0: there is no room for a hit");
  CHECK(at("offload: {to: host, resident: 2, bandwidth: 64}").find("a unit: write 64 Gb/s") != std::string::npos);
  CHECK(at("quality_penalty: [{format: int8, penalty: 1, expert: 8}]") ==
        "s.yaml:4:54: quality_penalty.expert: got 8, expected an expert from 0 to 7");
  CHECK(at("quality_penalty: [{format: int8}]").find("got no penalty") != std::string::npos);
  CHECK(at("extra_ops: [{name: nothing}]") ==
        "s.yaml:4:13: extra_ops: got no work, expected flops_per_token, bytes_per_token or weights_bytes above 0");
  CHECK(at("extra_ops: [{flops_per_token: 5}]").find("got no name") != std::string::npos);
}

TEST_CASE("Blocks that a split of the experts would cut are refused", "[scenario]") {
  const std::string text =
      "model: qwen3-30b-a3b\ncluster: {gpu: h100-sxm}\nworkload: {tokens_per_gpu: 64}\n"
      "layout: {attention: {tp: 8}, experts: {tp: 8}}\n";
  CHECK(refusal(text) == "");
  CHECK(
      refusal(text + "precision: {experts: int3_group128}\n") ==
      "s.yaml:5:22: precision.experts: got int3_group128, expected a format whose blocks divide an expert's width over "
      "8 ranks of qwen3-30b-a3b: 96 weights are no multiple of 128");
  CHECK(refusal(text + "precision: {cold_experts: {below: 0.1, format: int4_group128}}\n")
            .find("precision.cold_experts") != std::string::npos);
}

TEST_CASE("A dense model has no experts to store", "[scenario]") {
  for (const std::string tail :
       {"precision: {cold_experts: {below: 0.1, format: int8}}", "precision: {experts: [int8]}",
        "quality_penalty: [{format: int8, penalty: 1}]", "offload: {to: host, resident: 0}"}) {
    INFO(tail);
    CHECK(refusal(kDense + tail + "\n").find("llama-2-13b is dense") != std::string::npos);
  }
  CHECK(refusal(kDense + "extra_ops: [{name: lora, weights_bytes: 1e6}]\n") == "");
}
