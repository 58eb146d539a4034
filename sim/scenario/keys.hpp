#pragma once
// The one table of scenario keys. The parser, the defaults, the error messages, --resolved and the JSON Schema read it.

#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace moesim {

enum class KeyType {
  text,     ///< any text
  choice,   ///< one of the key's choices
  boolean,  ///< true or false
  integer,
  number,
  bandwidth,  ///< "400 Gb/s"
  seconds,    ///< "50 ms"
  price,      ///< "2.5 USD/h"
  file,       ///< a path relative to the scenario file
  model,      ///< a zoo name, or a path to a config.json
  profile,    ///< a shipped kernel profile's name, or a path to one
  columns,    ///< a map of column name to value
  records,    ///< a list of maps with the key's fields; of plain values where there is one field
};

/// One value of a closed set. `instead` is set for what the contract names and moesim does not model yet.
struct Choice {
  std::string_view name;
  int value = 0;  ///< of the enum it stands for; two names of one value are synonyms, the first is the canonical one
  std::string_view doc = {};
  std::string_view instead = {};
};

/// The key belongs to some values of another key only.
struct OnlyWith {
  std::string_view path = {};  ///< empty: no condition
  std::vector<std::string_view> values = {};
  bool required = false;  ///< and must be given with them
};

struct Key {
  std::string_view path;
  KeyType type;
  std::string_view doc;
  std::string_view standard = {};       ///< default as YAML text; empty: none, or computed
  std::string_view standard_note = {};  ///< where a computed default comes from
  bool required = false;
  double least = 0, most = std::numeric_limits<double>::infinity();
  bool above_least = false;  ///< `least` itself is not allowed
  std::vector<Choice> choices = {};
  OnlyWith only_with = {};
  std::string_view shape = {};  ///< of columns: what the map looks like, for messages
  std::vector<Key> fields =
      {};  ///< of records, their names as paths; an integer or choice that has some may be a list of these
};

/// Every key, sections together, in the order of the schema and of --resolved.
const std::vector<Key>& scenario_keys();

/// The key of a path, nullptr when there is none.
const Key* find_key(std::string_view path);

/// What a section is about ("layout", "cluster.fabric"), "" for none of that name.
std::string_view section_doc(std::string_view path);

/// Names right below a section ("" is the top level), in table order.
std::vector<std::string> names_below(std::string_view section);

/// "a number of at least 1", "one of ecmp, spray", "a bandwidth, as 400 Gb/s".
std::string expectation(const Key& key);

/// Choices of the tables that also appear in `moesim list`.
std::vector<Choice> placement_choices();
std::vector<Choice> routing_choices();
std::vector<Choice> fabric_choices();

}  // namespace moesim
