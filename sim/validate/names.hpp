#pragma once
// What measured rows call models, GPUs and formats, in the words of the zoo, the catalogue and scenarios.

#include <optional>
#include <string>
#include <string_view>

#include "models/llm/architecture.hpp"

namespace moesim {

/// "h200_sxm", "H800 SXM5", "GB200 NVL72" -> a name of the catalogue. SXM where only the chip is named. Nothing:
/// unknown.
std::optional<std::string> catalogue_gpu(std::string_view text);

/// "deepseek-ai/DeepSeek-V3", "nvidia/Llama-3.1-8B-Instruct-FP8", "DeepSeek-V3/R1" -> a zoo name. Suffixes that say how
/// a model was trained on or stored are left out; releases of one architecture are one model (DeepSeek-V3.1 is
/// deepseek-v3, Llama-3.3-70B llama-3.1-70b). Nothing: unknown.
std::optional<std::string> zoo_model(std::string_view text);

/// What a row's labels mean as formats of a scenario.
struct StoredFormats {
  std::string weights, experts, kv;
};

/// The checkpoint decides where it is known, the row's label elsewhere:
///   a zoo model that ships quantised (DeepSeek-V3, gpt-oss)   as it ships
///   a Qwen/...-FP8 checkpoint                                   fp8_block, whatever the label says
///   else                                                        the labels: fp8 is fp8_per_tensor, none is bf16
/// KV cache: fp8 for quantised weights on TensorRT-LLM, bf16 for all else ("auto" of SGLang and vLLM).
/// Nothing: a label without a format.
std::optional<StoredFormats> stored_formats(const Architecture& model, std::string_view path, std::string_view engine,
                                            std::string_view linear_label, std::string_view expert_label);

/// Lower case, without blanks around it.
std::string lowered(std::string_view text);

}  // namespace moesim
