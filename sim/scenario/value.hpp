#pragma once
// One value of the scenario: from YAML text to a typed value and back.

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "sim/scenario/document.hpp"
#include "sim/scenario/keys.hpp"

namespace moesim {

using Columns = std::vector<std::pair<std::string, std::string>>;

struct Record;
using Records = std::vector<Record>;

/// By type: boolean bool; integer and choice std::int64_t (a choice's enum value); number, and dimensioned values in
/// base units (bytes per second, seconds, USD per hour), double; text, file and model std::string; columns Columns;
/// lists of maps Records.
using Value = std::variant<bool, std::int64_t, double, std::string, Columns, Records>;

struct RecordField {
  std::string name;
  Value value;
  std::string where;  ///< "file:line:column: cluster.nodes.gpu"
};
/// One map of a list.
struct Record {
  std::string where;
  std::vector<RecordField> fields;

  const RecordField* find(std::string_view name) const;  ///< nullptr when it is not given
};

struct ParsedValue {
  Value value;
  std::string text;  ///< as YAML, reads back to the same value
};

/// Throws InputError at `where` (wrong type, unit, range, name) and NotModelledYet.
ParsedValue parse_value(const Key& key, const YamlNode& node, const std::string& where);

/// The enum value that a choice key gives a name, for the command line. Throws as parse_value does.
std::int64_t named_choice(std::string_view path, const std::string& name, const std::string& where);

/// A list of maps with the key's fields. Throws as parse_value does, and for unknown, missing and duplicate fields.
ParsedValue parse_records(const Document& document, const Key& key, const YamlNode& list, const std::string& where);

/// What a node is, for "got ...": "nothing", "a list", "a map", "5", "the text 'x'".
std::string describe(const YamlNode& node);

/// A double-quoted YAML (and JSON) string.
std::string quoted_text(std::string_view text);

}  // namespace moesim
