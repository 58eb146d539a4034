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

const ModelClass& class_of(const ConfigReader& config) {
  std::vector<std::string> names;
  for (const ModelClass& known : model_classes()) names.emplace_back(known.model_type);
  const std::string choices = fmt::format("one of {}", fmt::join(names, ", "));
  const std::string type = config.has("model_type") ? config.found("model_type") : "";
  for (const ModelClass& known : model_classes())
    if (known.model_type == type) return known;
  const auto& later = types_without_model();
  if (std::find(later.begin(), later.end(), type) != later.end()) config.not_modelled("model_type", choices);
  config.refuse("model_type", choices, nearest(type, names));
}

std::vector<std::string_view> joined(std::vector<std::string_view> some, const std::vector<std::string_view>& more) {
  some.insert(some.end(), more.begin(), more.end());
  return some;
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
  if (std::find(names.begin(), names.end(), name) == names.end())
    throw InputError{"model", name, fmt::format("a path to a config.json, or one of {}", fmt::join(names, ", ")),
                     nearest(name, names)};
  return resource_folder(Resource::zoo) / (name + ".json");
}

}  // namespace

int Architecture::moe_layers() const {
  return static_cast<int>(std::count(moe_layer.begin(), moe_layer.end(), true));
}

Architecture parse_architecture(const std::string& text, const std::string& origin) {
  ConfigReader config{text, origin};
  const ModelClass& known = class_of(config);
  config.know(joined(known.keys, common_keys()), joined(known.without_influence, common_keys_without_influence()));
  Architecture model = known.read(config);
  config.check_all_read();
  if (const double parameters = approximate_total(model); parameters > kMostParameters)
    throw InputError{origin, fmt::format("sizes that make {:.2g} parameters", parameters),
                     fmt::format("at most {:.0g}", kMostParameters)};
  model.name = name_from(origin);
  model.defaulted = config.defaulted();
  return model;
}

Architecture load_architecture(const std::string& name_or_path) {
  const fs::path file = is_path(name_or_path) ? fs::path{name_or_path} : zoo_file(name_or_path);
  return parse_architecture(read_text_file(file, kLargestFile), file.string());
}

}  // namespace moesim
