#include "sim/metrics/summary_json.hpp"

#include <nlohmann/json.hpp>

#include "tests/catch_compat.hpp"

using namespace moesim;

TEST_CASE("What is undefined is null and every key is there", "[metrics]") {
  Summary summary;
  summary.gpus = 8;
  const auto json = nlohmann::json::parse(summary_json(summary));
  CHECK(json["throughput"]["output_tokens_per_s"].is_null());
  CHECK(json["latency"]["ttft_ms"]["p99"].is_null());
  CHECK(json["imbalance"]["nic"]["mean"].is_null());
  CHECK(json["audit"].is_null());
  CHECK(json["energy"].is_null());
}

TEST_CASE("Throughput per GPU divides by the GPUs of the layout", "[metrics]") {
  Summary summary;
  summary.gpus = 8;
  summary.output_tokens_per_s = 4000;
  const auto json = nlohmann::json::parse(summary_json(summary));
  CHECK(json["throughput"]["output_tokens_per_s_per_gpu"] == 500);
}

TEST_CASE("Hostile names stay text", "[metrics]") {
  Summary summary;
  summary.gpus = 1;
  summary.question = "\"</script>\n\x01 \xe4\xb8\xad";
  CHECK(nlohmann::json::parse(summary_json(summary))["question"] == summary.question);
}
