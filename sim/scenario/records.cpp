#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "models/units/error.hpp"
#include "sim/scenario/text_check.hpp"
#include "sim/scenario/value.hpp"

namespace moesim {
namespace {

std::vector<std::string> field_names(const Key& key) {
  std::vector<std::string> names;
  for (const Key& field : key.fields) names.emplace_back(field.path);
  return names;
}

/// "file:1:2: cluster.nodes" as the place of one of its fields; an override has no places inside.
std::string place(const Key& key, const YamlNode& node, std::string_view field) {
  if (node.overridden) return node.where;
  return fmt::format("{}: {}{}{}", node.where, key.path, field.empty() ? "" : ".", field);
}

/// Reads one list, item by item.
class RecordReader {
public:
  RecordReader(const Document& document, const Key& key) : document_{document}, key_{key} {}

  ParsedValue read(const YamlNode& list) {
    std::string text;
    for (const YamlNode::Entry& entry : list.entries) {
      const YamlNode& item = document_.node(entry.value);
      text += text.empty() ? "" : ", ";
      text += key_.fields.size() == 1 ? read_plain(item) : read_map(item);
    }
    return {std::move(records_), "[" + text + "]"};
  }

private:
  std::string read_plain(const YamlNode& item) {
    const Key& field = key_.fields.front();
    const std::string where = place(key_, item, "");
    ParsedValue parsed = parse_value(field, item, where);
    records_.push_back({where, {{std::string{field.path}, std::move(parsed.value), where}}});
    return parsed.text;
  }

  std::string read_map(const YamlNode& item) {
    Record record{place(key_, item, ""), {}};
    if (item.kind != YamlNode::Kind::map)
      throw InputError{record.where, describe(item), fmt::format("a map with {}", fmt::join(field_names(key_), ", "))};
    std::string text;
    for (const YamlNode::Entry& entry : item.entries) {
      const auto field = std::find_if(key_.fields.begin(), key_.fields.end(),
                                      [&](const Key& known) { return known.path == entry.key; });
      if (field == key_.fields.end())
        throw InputError{record.where, "the unknown key " + shown(entry.key),
                         fmt::format("one of {}", fmt::join(field_names(key_), ", ")),
                         nearest(entry.key, field_names(key_))};
      const YamlNode& node = document_.node(entry.value);
      const std::string where = place(key_, node, entry.key);
      ParsedValue parsed = parse_value(*field, node, where);
      text += fmt::format("{}{}: {}", text.empty() ? "" : ", ", entry.key, parsed.text);
      record.fields.push_back({entry.key, std::move(parsed.value), where});
    }
    for (const Key& field : key_.fields)
      if (field.required && !record.find(field.path))
        throw InputError{record.where, fmt::format("no {}", field.path),
                         fmt::format("{}: {}", field.path, expectation(field))};
    records_.push_back(std::move(record));
    return "{" + text + "}";
  }

  const Document& document_;
  const Key& key_;
  Records records_;
};

}  // namespace

const RecordField* Record::find(std::string_view name) const {
  const auto found =
      std::find_if(fields.begin(), fields.end(), [&](const RecordField& field) { return field.name == name; });
  return found == fields.end() ? nullptr : &*found;
}

ParsedValue parse_records(const Document& document, const Key& key, const YamlNode& list, const std::string& where) {
  if (list.kind != YamlNode::Kind::list) throw InputError{where, describe(list), expectation(key)};
  if (list.entries.empty()) throw InputError{where, "an empty list", expectation(key)};
  return RecordReader{document, key}.read(list);
}

}  // namespace moesim
