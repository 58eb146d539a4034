#include "models/placement/engine_formats.hpp"

#include <nlohmann/json.hpp>

#include "models/units/error.hpp"
#include "tests/catch_compat.hpp"

using namespace moesim;

namespace {

/// Two layers of 3 experts on 2 ranks of 2 slots.
const Placement kPlacement{2, 3, 2, 2, {0, 1, 2, 0, 2, 1, 0, 2}};
const std::vector<int> kFromZero{0, 1}, kAfterDense{2, 3};

}  // namespace

TEST_CASE("SGLang gets one row per model layer, trivial ones for the dense layers before", "[placement]") {
  CHECK(nlohmann::json::parse(to_sglang(kPlacement, kFromZero)) ==
        nlohmann::json::parse(R"({"physical_to_logical_map": [[0, 1, 2, 0], [2, 1, 0, 2]]})"));
  CHECK(nlohmann::json::parse(to_sglang(kPlacement, kAfterDense)) ==
        nlohmann::json::parse(
            R"({"physical_to_logical_map": [[0, 1, 2, 0], [0, 1, 2, 0], [0, 1, 2, 0], [2, 1, 0, 2]]})"));
}

TEST_CASE("vLLM gets one row per MoE layer and the copies of each expert", "[placement]") {
  const auto expected = nlohmann::json::parse(
      R"({"physical_to_logical_map": [[0, 1, 2, 0], [2, 1, 0, 2]], "logical_replica_count": [[2, 1, 1], [1, 1, 2]]})");
  CHECK(nlohmann::json::parse(to_vllm(kPlacement, kFromZero)) == expected);
  CHECK(nlohmann::json::parse(to_vllm(kPlacement, kAfterDense)) == expected);
}

TEST_CASE("TensorRT-LLM gets its slots by model layer", "[placement]") {
  CHECK(to_trtllm(kPlacement, kAfterDense) ==
        "num_slots: 4\ninitial_global_assignments:\n  2: [0, 1, 2, 0]\n  3: [2, 1, 0, 2]\nlayer_updates_per_iter: 0\n");
}

TEST_CASE("Engines that number rows by position refuse gaps, and all refuse empty slots", "[placement]") {
  const std::vector<int> gap{0, 7};
  CHECK_THROWS_WITH(
      to_sglang(kPlacement, gap),
      "loads: got layer 7 after layer 0, expected consecutive layers: SGLang numbers its rows by position");
  CHECK_THROWS_WITH(to_vllm(kPlacement, gap),
                    "loads: got layer 7 after layer 0, expected consecutive layers: vLLM numbers its rows by position");
  CHECK_NOTHROW(to_trtllm(kPlacement, gap));
  const Placement uneven{1, 3, 2, 2, {0, 1, 2, -1}};
  CHECK_THROWS_WITH(
      to_trtllm(uneven, std::vector<int>{0}),
      "placement: got ranks that hold different numbers of experts, expected 2 on every rank for TensorRT-LLM");
  CHECK_THROWS_AS(to_sglang(uneven, std::vector<int>{0}), InputError);
  CHECK_THROWS_AS(to_vllm(uneven, std::vector<int>{0}), InputError);
}
