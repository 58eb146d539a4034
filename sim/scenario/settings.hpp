#pragma once
// A document read against the table of keys: typed values with where each came from.

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/scenario/document.hpp"
#include "sim/scenario/keys.hpp"
#include "sim/scenario/value.hpp"

namespace moesim {

struct Setting {
  Value value;
  std::string text;    ///< as YAML
  std::string origin;  ///< "input", "--set", "default", "catalogue" ...
  std::string where;   ///< for errors
};

/// Every key that the file, an override or the table's default gives. Computed defaults are added with `fill`.
class Settings {
public:
  /// Which required keys must be there: of a whole scenario, or of its cluster alone (which a file of a node may stand
  /// for).
  enum class Scope { scenario, cluster };

  /// Throws InputError for an unknown or missing key and a bad value, and NotModelledYet.
  Settings(const Document& document, const std::string& origin, Scope scope = Scope::scenario);

  bool has(std::string_view path) const { return settings_.find(path) != settings_.end(); }
  const Setting& at(std::string_view path) const { return settings_.find(path)->second; }  ///< the key must be there

  /// A default that depends on other values. Does nothing when the key is there; the text must be one that parses.
  void fill(std::string_view path, const std::string& text, const std::string& origin);

  /// "file:line:column: path", "--set path=value", or "file: path" for a key that was not given.
  std::string where(std::string_view path) const;

  bool flag(std::string_view path) const { return std::get<bool>(at(path).value); }
  std::int64_t integer(std::string_view path) const { return std::get<std::int64_t>(at(path).value); }
  int count(std::string_view path) const { return static_cast<int>(integer(path)); }
  double number(std::string_view path) const { return std::get<double>(at(path).value); }
  const std::string& text(std::string_view path) const { return std::get<std::string>(at(path).value); }
  template <class Enum>
  Enum choice(std::string_view path) const {
    return static_cast<Enum>(integer(path));
  }

private:
  void read_section(const Document& document, const YamlNode& map, const std::string& section);
  void read_columns(const Document& document, const Key& key, const YamlNode& node);
  void check_presence(Scope scope) const;
  void check_only_with(const Key& key) const;

  std::string origin_;
  std::map<std::string, Setting, std::less<>> settings_;
};

/// Puts `--set` values into the document. Throws InputError for a path that no key has.
void apply_overrides(Document& document, const std::vector<std::pair<std::string, std::string>>& overrides);

}  // namespace moesim
