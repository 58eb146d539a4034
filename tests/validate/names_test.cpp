// What rows call things, and what that is here.

#include "sim/validate/names.hpp"

#include "tests/catch_compat.hpp"

using namespace moesim;

namespace {

std::string model(std::string_view text) {
  return zoo_model(text).value_or("unknown");
}
std::string gpu(std::string_view text) {
  return catalogue_gpu(text).value_or("unknown");
}
std::string formats(std::string_view path, std::string_view engine, std::string_view linear, std::string_view experts) {
  const auto found = stored_formats(load_architecture(*zoo_model(path)), path, engine, linear, experts);
  return found ? found->weights + " " + found->experts + " " + found->kv : "unknown";
}

}  // namespace

TEST_CASE("A model's name goes without its owner and without how it was trained or stored", "[validate]") {
  CHECK(model("deepseek-ai/DeepSeek-V3") == "deepseek-v3");
  CHECK(model("deepseek-ai/DeepSeek-R1-0528") == "deepseek-r1");
  CHECK(model("DeepSeek-V3/R1") == "deepseek-v3");
  CHECK(model("Qwen/Qwen3-235B-A22B-FP8") == "qwen3-235b-a22b");
  CHECK(model("nvidia/Llama-3.1-8B-Instruct-FP8") == "llama-3.1-8b");
  CHECK(model("Llama-3.3-70B (dense control)") == "llama-3.1-70b");
  CHECK(model("GPT-OSS-20B") == "gpt-oss-20b");
  CHECK(model("openai/gpt-oss-121b") == "unknown");
  CHECK(model("deepseek-ai/DeepSeek-V3.2") == "unknown");  // sparse attention: another architecture
}

TEST_CASE("A GPU is found by its system's name and by its chip", "[validate]") {
  CHECK(gpu("h200_sxm") == "h200-sxm");
  CHECK(gpu("H800 SXM5") == "h800-sxm");
  CHECK(gpu("H100") == "h100-sxm");
  CHECK(gpu("A100-80G") == "a100-sxm");
  CHECK(gpu("GB200 NVL72") == "gb200-nvl72");
  CHECK(gpu("gb200") == "gb200-nvl72");
  CHECK(gpu("unknown") == "unknown");
  CHECK(gpu("") == "unknown");
}

TEST_CASE("The checkpoint decides the number formats and not the label of a row", "[validate]") {
  CHECK(formats("deepseek-ai/DeepSeek-V3", "sglang", "fp8", "fp8_block") == "fp8_block fp8_block bf16");
  CHECK(formats("Qwen/Qwen3-235B-A22B-FP8", "vllm", "fp8", "fp8") == "fp8_block fp8_block bf16");
  CHECK(formats("openai/gpt-oss-120b", "vllm", "nvfp4", "nvfp4") == "bf16 mxfp4 bf16");
}

TEST_CASE("Labels are formats where the checkpoint says nothing", "[validate]") {
  CHECK(formats("nvidia/Llama-3.1-8B-Instruct-FP8", "vllm", "fp8", "fp8") == "fp8_per_tensor fp8_per_tensor bf16");
  CHECK(formats("meta-llama/Llama-3.1-70B", "trtllm", "nvfp4", "nvfp4") == "nvfp4 nvfp4 fp8");
  CHECK(formats("meta-llama/Llama-3.1-70B", "trtllm", "", "") == "bf16 bf16 bf16");
  CHECK(formats("Qwen/Qwen3-32B", "sglang", "fp8_block", "fp8_block") == "fp8_block fp8_block bf16");
  CHECK(formats("Qwen/Qwen3-32B", "sglang", "fp7", "fp8") == "unknown");
}
