#include "sim/validate/names.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>
#include <vector>

#include "models/hardware/gpu.hpp"
#include "models/units/resources.hpp"

namespace moesim {
namespace {

bool is_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0;
}

/// "h800" of "h800 sxm5", "a100" of "a100-80g".
std::string first_word(const std::string& text) {
  return {text.begin(), std::find_if_not(text.begin(), text.end(), is_word)};
}

bool among(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

constexpr std::array kModelSuffixes{"-fp8", "-nvfp4", "-fp4",      "-bf16", "-instruct", "-chat", "-base",
                                    "-hf",  "-2507",  "-thinking", "-v0.1", "-0324",     "-0528", "-1224"};

/// Releases with the architecture of another.
constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kSameArchitecture{
    {{"llama-3.3-70b", "llama-3.1-70b"},
     {"deepseek-v3.1", "deepseek-v3"},
     {"deepseek-v3.1-terminus", "deepseek-v3"},
     {"kimi-k2-0905", "kimi-k2"}}};

bool cut_suffix(std::string& name) {
  for (const std::string_view suffix : kModelSuffixes)
    if (name.size() > suffix.size() && name.ends_with(suffix)) {
      name.resize(name.size() - suffix.size());
      return true;
    }
  return false;
}

std::optional<std::string> known_model(std::string name) {
  const std::vector<std::string> zoo = resource_names(Resource::zoo);
  if (name.starts_with("meta-")) name = name.substr(5);
  do {
    if (among(zoo, name)) return name;
    for (const auto& [other, same] : kSameArchitecture)
      if (name == other) return std::string{same};
  } while (cut_suffix(name));
  return std::nullopt;
}

std::optional<std::string> labelled_format(std::string_view label) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 11> kFormats{{{"", "bf16"},
                                                                                    {"bf16", "bf16"},
                                                                                    {"bfloat16", "bf16"},
                                                                                    {"fp16", "fp16"},
                                                                                    {"float16", "fp16"},
                                                                                    {"fp8", "fp8_per_tensor"},
                                                                                    {"fp8_block", "fp8_block"},
                                                                                    {"int8", "int8"},
                                                                                    {"mxfp4", "mxfp4"},
                                                                                    {"fp4", "nvfp4"},
                                                                                    {"nvfp4", "nvfp4"}}};
  for (const auto& [name, format] : kFormats)
    if (label == name) return std::string{format};
  return std::nullopt;
}

std::string scenario_name(NumberFormat format) {
  return format == NumberFormat::fp8 ? "fp8_per_tensor" : std::string{name_of(format)};
}

bool is_sixteen_bit(const std::string& format) {
  return format == "bf16" || format == "fp16";
}

}  // namespace

std::string lowered(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  std::string lower{text};
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

std::optional<std::string> catalogue_gpu(std::string_view text) {
  std::string name = lowered(text);
  std::replace(name.begin(), name.end(), '_', '-');
  const std::vector<std::string> names = gpu_names();
  if (among(names, name)) return name;
  const std::string chip = first_word(name);
  for (const std::string& candidate : {chip, chip + "-sxm", chip + "-nvl72"})
    if (among(names, candidate)) return candidate;
  return std::nullopt;
}

std::optional<std::string> zoo_model(std::string_view text) {
  std::string name = lowered(text.substr(0, text.find('(')));
  while (name.ends_with(' ')) name.pop_back();
  const std::size_t slash = name.rfind('/');
  if (slash == std::string::npos) return known_model(name);
  const auto last = known_model(name.substr(slash + 1));
  return last ? last : known_model(name.substr(0, slash));
}

std::optional<StoredFormats> stored_formats(const Architecture& model, std::string_view path, std::string_view engine,
                                            std::string_view linear_label, std::string_view expert_label) {
  const auto linear = labelled_format(linear_label);
  const auto experts = labelled_format(expert_label);
  if (!linear || !experts) return std::nullopt;
  StoredFormats formats{*linear, *experts, "bf16"};
  const std::string lower = lowered(path);
  const bool own_fp4 = lower.ends_with("-fp4") || lower.ends_with("-nvfp4");
  if (lower.starts_with("qwen/") && lower.ends_with("-fp8"))
    formats.weights = formats.experts = "fp8_block";
  else if (model.checkpoint_experts != NumberFormat::bf16 && !own_fp4) {
    formats.weights = scenario_name(model.checkpoint_format);
    formats.experts = scenario_name(model.checkpoint_experts);
    if (formats.experts == "mxfp4" && engine == "trtllm" && *experts == "nvfp4") formats.experts = "mxfp4_mxfp8";
  }
  if (engine == "trtllm" && !(is_sixteen_bit(*linear) && is_sixteen_bit(*experts))) formats.kv = "fp8";
  return formats;
}

}  // namespace moesim
