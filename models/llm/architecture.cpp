#include "models/llm/architecture.hpp"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "models/llm/model_classes.hpp"
#include "models/llm/parameters.hpp"
#include "models/units/error.hpp"
#include "models/units/resources.hpp"

namespace moesim {
namespace {

namespace fs = std::filesystem;

constexpr std::uintmax_t kLargestFile = 4u << 20;  // the largest published config.json has a few hundred KiB
constexpr double kMostParameters = 1e17;           // far below what int64 holds, far above any model

/// Other tools write files of their own under the same name.
void check_hugging_face(const ConfigReader& config) {
  constexpr const char* kExpected = "a Hugging Face config.json";
  if (config.has("n_head") && config.has("ffn_embed_dim"))
    throw InputError{config.where("n_head"), "a model file of llm-analysis", kExpected};
  if (config.has("n_activated_experts") && config.has("moe_inter_dim"))
    throw InputError{config.where("n_activated_experts"), "a model file of DeepSeek's own inference code", kExpected};
}

const ModelClass& class_of(const ConfigReader& config) {
  check_hugging_face(config);
  std::vector<std::string> names;
  for (const ModelClass& known : model_classes()) names.emplace_back(known.model_type);
  const std::string choices = fmt::format("one of {}", fmt::join(names, ", "));
  const std::string type = config.has("model_type") ? config.found("model_type") : "";
  for (const ModelClass& known : model_classes())
    if (known.model_type == type) return known;
  for (const TypeWithoutModel& later : types_without_model())
    if (later.model_type == type)
      throw NotModelledYet{config.where("model_type"), fmt::format("{} ({})", type, later.feature), choices};
  config.refuse("model_type", choices, nearest(type, names));
}

/// "models/Mixtral/config.json" is Mixtral, "some/mixtral.json" is mixtral.
std::string name_from(const std::string& origin) {
  const fs::path path{origin};
  if (path.filename() == "config.json" && !path.parent_path().filename().empty())
    return path.parent_path().filename().string();
  return path.extension() == ".json" ? path.stem().string() : origin;
}

bool is_path(const std::string& text) {
  return text.find('/') != std::string::npos || text.ends_with(".json");
}

fs::path zoo_file(const std::string& name) {
  const std::vector<std::string> names = resource_names(Resource::zoo);
  if (std::find(names.begin(), names.end(), name) == names.end()) {
    std::error_code failure;
    const bool folder = fs::is_directory(name, failure);
    const std::string inside = name + "/config.json";
    throw InputError{"model", folder ? name + ", a folder" : name,
                     fmt::format("a path to a config.json, or one of {}", fmt::join(names, ", ")),
                     fs::exists(inside, failure) ? inside : nearest(name, names)};
  }
  return resource_folder(Resource::zoo) / (name + ".json");
}

}  // namespace

int Architecture::moe_layers() const {
  return static_cast<int>(std::count(moe_layer.begin(), moe_layer.end(), true));
}

int Architecture::windowed_layers() const {
  return static_cast<int>(std::count(windowed_layer.begin(), windowed_layer.end(), true));
}

Precision checkpoint_precision(const Architecture& model) {
  return precision_of(model.checkpoint_format, model.checkpoint_experts);
}

Architecture parse_architecture(const std::string& text, const std::string& origin) {
  ConfigReader config{text, origin};
  const ModelClass& known = class_of(config);
  know_keys(config, known);
  Architecture model = known.read(config);
  config.check_all_read();
  model.model_type = known.model_type;
  if (const double parameters = approximate_total(model); parameters > kMostParameters)
    throw InputError{origin, fmt::format("sizes that make {:.2g} parameters", parameters),
                     fmt::format("at most {:.0g}", kMostParameters)};
  model.name = name_from(origin);
  model.defaulted = config.defaulted();
  model.left_out = config.left_out();
  return model;
}

Architecture load_architecture(const std::string& name_or_path) {
  const fs::path file = is_path(name_or_path) ? fs::path{name_or_path} : zoo_file(name_or_path);
  return parse_architecture(read_text_file(file, kLargestFile), file.string());
}

}  // namespace moesim
