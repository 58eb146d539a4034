#include <fstream>

#include <fmt/format.h>

#include "models/units/error.hpp"
#include "sim/scenario/build.hpp"

namespace moesim {
namespace fs = std::filesystem;
namespace {

bool names_a_file(const Key& key, const Setting& setting) {
  return key.type == KeyType::file || ((key.type == KeyType::model || key.type == KeyType::profile) &&
                                       is_config_path(std::get<std::string>(setting.value)));
}

std::uint64_t content_hash(const fs::path& file) {
  std::ifstream in{file, std::ios::binary};
  if (!in) throw InputError{file.string(), "a file without read permission", "a readable file"};
  std::string chunk(1 << 16, '\0');
  std::uint64_t hash = fnv1a("");
  while (in) {
    in.read(chunk.data(), static_cast<std::streamsize>(chunk.size()));
    hash = fnv1a({chunk.data(), static_cast<std::size_t>(in.gcount())}, hash);
  }
  return hash;
}

/// "layout.experts.ep" at depth 2 is "ep"; sections above it that differ from `open` are written first.
void open_sections(std::string& yaml, std::string_view path, std::vector<std::string_view>& open) {
  std::vector<std::string_view> sections;
  for (std::size_t dot = path.find('.'); dot != std::string_view::npos; dot = path.find('.')) {
    sections.push_back(path.substr(0, dot));
    path.remove_prefix(dot + 1);
  }
  std::size_t same = 0;
  while (same < open.size() && same < sections.size() && open[same] == sections[same]) ++same;
  for (std::size_t level = same; level < sections.size(); ++level)
    yaml += fmt::format("{:{}}{}:\n", "", 2 * level, sections[level]);
  open = std::move(sections);
}

}  // namespace

std::uint64_t fnv1a(std::string_view bytes, std::uint64_t state) {
  for (const char c : bytes) state = (state ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  return state;
}

std::vector<ResolvedValue> resolve(const Settings& settings, const fs::path& folder) {
  std::vector<ResolvedValue> resolved;
  for (const Key& key : scenario_keys()) {
    if (!settings.has(key.path)) {
      resolved.push_back({std::string{key.path}, "", "not set", ""});
      continue;
    }
    const Setting& setting = settings.at(key.path);
    if (!names_a_file(key, setting)) {
      resolved.push_back({std::string{key.path}, setting.text, setting.origin, setting.text});
      continue;
    }
    const fs::path file = fs::absolute(folder / std::get<std::string>(setting.value)).lexically_normal();
    resolved.push_back({std::string{key.path}, quoted_text(file.string()), setting.origin,
                        fmt::format("content {:016x}", content_hash(file))});
  }
  return resolved;
}

std::string resolved_yaml(const Scenario& scenario) {
  std::string yaml = fmt::format("# {}: every key, with where its value comes from\n", scenario.name);
  std::vector<std::string_view> open;
  for (const ResolvedValue& item : scenario.resolved) {
    if (item.value.empty()) {
      yaml += fmt::format("# {}: not set\n", item.path);
      continue;
    }
    open_sections(yaml, item.path, open);
    const std::string name = item.path.substr(item.path.rfind('.') + 1);
    yaml += fmt::format("{:{}}{}: {}  # {}\n", "", 2 * open.size(), name, item.value, item.origin);
  }
  return yaml;
}

std::string scenario_hash(const Scenario& scenario) {
  std::uint64_t hash = fnv1a("");
  for (const ResolvedValue& item : scenario.resolved) hash = fnv1a(item.path + "=" + item.identity + "\n", hash);
  return fmt::format("{:016x}", hash);
}

}  // namespace moesim
