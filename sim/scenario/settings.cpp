#include "sim/scenario/settings.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "models/units/error.hpp"
#include "sim/scenario/text_check.hpp"

namespace moesim {
namespace {

bool is_section(std::string_view path) {
  return !path.empty() && !section_doc(path).empty();
}

std::vector<std::string> all_paths() {
  std::vector<std::string> paths;
  for (const Key& key : scenario_keys()) paths.emplace_back(key.path);
  return paths;
}

/// A key below `prefix` whose last name is this one ("tp" -> "layout.attention.tp").
std::string key_with_name(std::string_view prefix, const std::string& name) {
  for (const Key& key : scenario_keys())
    if (key.path.starts_with(prefix) && (key.path == name || key.path.ends_with("." + name)))
      return std::string{key.path};
  return {};
}

/// A key deeper in the section of exactly this name, else the nearest name of the section, else such a key anywhere.
std::string near_key(const std::string& section, const std::string& name) {
  if (!section.empty())
    if (std::string deeper = key_with_name(section + ".", name); !deeper.empty()) return deeper;
  if (std::string near = nearest(name, names_below(section)); !near.empty()) return near;
  return key_with_name("", name);
}

/// "file:1:2" or "--set a.b=1" -> what an error about `path` starts with.
std::string place(const std::string& where, std::string_view path) {
  if (path.empty() || where.starts_with(fmt::format("--set {}=", path))) return where;
  return fmt::format("{}: {}", where, path);
}

bool takes_records(const Key& key, const YamlNode& node) {
  return key.type == KeyType::records || (!key.fields.empty() && node.kind == YamlNode::Kind::list);
}

std::string map_expectation(std::string_view section) {
  return fmt::format("a map with keys of {}", fmt::join(names_below(section), ", "));
}

}  // namespace

Settings::Settings(const Document& document, const std::string& origin, Scope scope) : origin_{origin} {
  const YamlNode& root = document.root();
  if (root.kind == YamlNode::Kind::null) throw InputError{origin, "an empty file", map_expectation("")};
  read_section(document, root, "");
  for (const Key& key : scenario_keys())
    if (!key.standard.empty()) fill(key.path, std::string{key.standard}, "default");
  check_presence(scope);
}

void Settings::read_section(const Document& document, const YamlNode& map, const std::string& section) {
  if (map.kind != YamlNode::Kind::map)
    throw InputError{place(map.where, section), describe(map), map_expectation(section)};
  for (const YamlNode::Entry& entry : map.entries) {
    const std::string path = section.empty() ? entry.key : section + "." + entry.key;
    const YamlNode& node = document.node(entry.value);
    const Key* key = find_key(path);
    const bool plain_name = entry.key.find('.') == std::string::npos;  // `layout.pp: 1` is not how YAML nests
    if (key && plain_name && key->type == KeyType::columns) {
      read_columns(document, *key, node);
    } else if (key && plain_name && takes_records(*key, node)) {
      const std::string where = place(node.where, path);
      ParsedValue parsed = parse_records(document, *key, node, where);
      settings_[path] = {std::move(parsed.value), std::move(parsed.text), node.overridden ? "--set" : "input", where};
    } else if (key && plain_name) {
      const std::string where = place(node.where, path);
      ParsedValue parsed = parse_value(*key, node, where);
      settings_[path] = {std::move(parsed.value), std::move(parsed.text), node.overridden ? "--set" : "input", where};
    } else if (plain_name && is_section(path)) {
      read_section(document, node, path);
    } else {
      throw InputError{place(entry.where, section), "the unknown key " + shown(entry.key),
                       fmt::format("one of {}", fmt::join(names_below(section), ", ")), near_key(section, entry.key)};
    }
  }
}

void Settings::read_columns(const Document& document, const Key& key, const YamlNode& node) {
  const std::string where = place(node.where, key.path);
  if (node.kind != YamlNode::Kind::map || node.entries.empty())
    throw InputError{where, node.kind == YamlNode::Kind::map ? "an empty map" : describe(node), expectation(key)};
  Columns columns;
  std::string text, origin = node.overridden ? "--set" : "input";
  for (const YamlNode::Entry& entry : node.entries) {
    const YamlNode& value = document.node(entry.value);
    if (value.kind != YamlNode::Kind::scalar)
      throw InputError{place(value.where, fmt::format("{}.{}", key.path, entry.key)), describe(value), "a value"};
    columns.emplace_back(entry.key, value.text);
    text += fmt::format("{}{}: {}", text.empty() ? "" : ", ", quoted_text(entry.key), quoted_text(value.text));
    if (value.overridden) origin = "--set";
  }
  settings_[std::string{key.path}] = {std::move(columns), "{" + text + "}", origin, where};
}

void Settings::fill(std::string_view path, const std::string& text, const std::string& origin) {
  if (has(path)) return;
  YamlNode node;
  node.kind = YamlNode::Kind::scalar;
  node.text = text;
  ParsedValue parsed = parse_value(*find_key(path), node, where(path));
  settings_[std::string{path}] = {std::move(parsed.value), std::move(parsed.text), origin, where(path)};
}

std::string Settings::where(std::string_view path) const {
  return has(path) ? at(path).where : fmt::format("{}: {}", origin_, path);
}

void Settings::check_presence(Scope scope) const {
  for (const Key& key : scenario_keys()) {
    const bool read = scope == Scope::scenario || (key.path.starts_with("cluster.") && !has("cluster.xml"));
    if (key.required && read && !has(key.path))
      throw InputError{where(key.path), "nothing", expectation(key) + ": this key is required"};
    if (!key.only_with.path.empty()) check_only_with(key);
  }
}

void Settings::check_only_with(const Key& key) const {
  const auto& values = key.only_with.values;
  if (!has(key.only_with.path)) {  // computed, to a value that this key does not belong to
    if (!has(key.path)) return;
    throw InputError{where(key.path), at(key.path).text,
                     fmt::format("no such key without {} (only with {})", key.only_with.path, fmt::join(values, ", "))};
  }
  const Setting& other = at(key.only_with.path);
  const bool applies = std::find(values.begin(), values.end(), other.text) != values.end();
  if (applies && key.only_with.required && !has(key.path))
    throw InputError{where(key.path), "nothing",
                     fmt::format("{}: {} {} needs it", expectation(key), key.only_with.path, other.text)};
  if (applies || !has(key.path)) return;
  const std::string way_out = other.origin == "--set" ? fmt::format("; --set {}= takes it out", key.path) : "";
  throw InputError{where(key.path), at(key.path).text,
                   fmt::format("no such key with {} {} (only with {}{})", key.only_with.path, other.text,
                               fmt::join(values, ", "), way_out)};
}

void apply_overrides(Document& document, const std::vector<std::pair<std::string, std::string>>& overrides) {
  for (const auto& [path, value] : overrides) {
    const std::size_t dot = path.rfind('.');
    const Key* above = dot == std::string::npos ? nullptr : find_key(std::string_view{path}.substr(0, dot));
    const bool column = above && above->type == KeyType::columns && dot + 1 < path.size();
    if (!find_key(path) && !column && !is_section(path))
      throw InputError{fmt::format("--set {}={}", path, value), "the unknown key " + shown(path),
                       "a key of the scenario (see `moesim schema`)", nearest(path, all_paths())};
    document.set(path, value);
  }
}

}  // namespace moesim
