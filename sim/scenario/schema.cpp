#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "sim/scenario/keys.hpp"
#include "sim/scenario/scenario.hpp"

namespace moesim {
namespace {

using Json = nlohmann::ordered_json;

// A number and a unit of models/units/text.cpp; a test reads each of these units.
constexpr std::string_view kNumber = "^ *[0-9]+(\\.[0-9]+)?([eE][+-]?[0-9]+)? *";
constexpr std::string_view kBandwidthUnits = "([kMGT]?[Bb]|[KMGT]iB)/s *$";
constexpr std::string_view kTimeUnits = "(h|min|s|ms|us|ns) *$";

std::vector<std::string> later_names(const Key& key) {
  std::vector<std::string> names;
  for (const Choice& choice : key.choices)
    if (!choice.instead.empty()) names.emplace_back(choice.name);
  return names;
}

std::string description(const Key& key) {
  std::string text{key.doc};
  for (const Choice& choice : key.choices)
    if (choice.instead.empty() && !choice.doc.empty()) text += fmt::format(". {}: {}", choice.name, choice.doc);
  if (key.type == KeyType::bandwidth) text += fmt::format(". {}", expectation(key));
  if (!key.only_with.path.empty())
    text += fmt::format(". Only with {} {}", key.only_with.path, fmt::join(key.only_with.values, ", "));
  if (!key.standard.empty()) text += fmt::format(". Default: {}", key.standard);
  if (!key.standard_note.empty()) text += fmt::format(". Default: {}", key.standard_note);
  if (const auto later = later_names(key); !later.empty())
    text += fmt::format(". Not modelled yet: {}", fmt::join(later, ", "));
  return text;
}

template <class Number>
void add_range(Json& property, const Key& key) {
  property[key.above_least ? "exclusiveMinimum" : "minimum"] = static_cast<Number>(key.least);
  if (std::isfinite(key.most)) property["maximum"] = static_cast<Number>(key.most);
}

Json property_schema(const Key& key);

void add_items(Json& property, const Key& key) {
  property["minItems"] = 1;
  if (key.fields.size() == 1) {
    property["items"] = property_schema(key.fields.front());
    return;
  }
  Json item;
  item["type"] = "object";
  item["additionalProperties"] = false;
  for (const Key& field : key.fields) {
    const std::string name{field.path};
    item["properties"][name] = property_schema(field);
    if (field.required) item["required"].push_back(name);
  }
  property["items"] = item;
}

void add_choice_or_list(Json& property, const Key& key) {
  Json one{{"type", "string"}}, list{{"type", "array"}};
  for (const Choice& choice : key.choices) one["enum"].push_back(choice.name);
  add_items(list, key);
  property["anyOf"] = {one, list};
}

void add_type(Json& property, const Key& key) {
  switch (key.type) {
    case KeyType::boolean:
      property["type"] = "boolean";
      return;
    case KeyType::integer:
      add_range<std::int64_t>(property, key);
      if (key.fields.empty()) {
        property["type"] = "integer";
        return;
      }
      property["type"] = {"integer", "array"};
      return add_items(property, key);
    case KeyType::records:
      property["type"] = "array";
      return add_items(property, key);
    case KeyType::number:
      property["type"] = "number";
      return add_range<double>(property, key);
    case KeyType::columns:
      property["type"] = "object";
      property["minProperties"] = 1;
      property["additionalProperties"] = {{"type", {"string", "number", "boolean"}}};
      return;
    case KeyType::bandwidth:
      property["pattern"] = fmt::format("{}{}", kNumber, kBandwidthUnits);
      break;
    case KeyType::seconds:
      property["pattern"] = fmt::format("{}{}", kNumber, kTimeUnits);
      break;
    case KeyType::price:
      property["pattern"] = "^[0-9]+(\\.[0-9]+)? USD/h$";
      break;
    case KeyType::choice:
      if (!key.fields.empty()) return add_choice_or_list(property, key);
      for (const Choice& choice : key.choices) property["enum"].push_back(choice.name);
      break;
    case KeyType::text:
    case KeyType::file:
    case KeyType::model:
    case KeyType::profile:
      property["minLength"] = 1;
      break;
  }
  property["type"] = "string";
}

void add_default(Json& property, const Key& key) {
  if (key.standard.empty()) return;
  property["default"] = property["type"] == "string" ? Json(key.standard) : Json::parse(key.standard);
}

Json section_schema(std::string_view section);

Json property_schema(const Key& key) {
  Json property;
  property["description"] = description(key);
  add_type(property, key);
  add_default(property, key);
  return property;
}

/// A section is required when a key below it is.
bool has_required(std::string_view prefix) {
  for (const Key& key : scenario_keys())
    if (key.required && key.path.starts_with(prefix)) return true;
  return false;
}

/// "if kind is zipf then exponent is required", for keys of this section.
void add_conditions(Json& schema, std::string_view prefix) {
  for (const Key& key : scenario_keys()) {
    if (!key.only_with.required || !key.only_with.path.starts_with(prefix)) continue;
    const std::string other{key.only_with.path.substr(prefix.size())};
    if (other.find('.') != std::string::npos) continue;  // of the section below
    Json values = Json::array();
    for (const std::string_view value : key.only_with.values) values.push_back(value);
    Json condition;
    condition["if"] = {{"required", {other}}, {"properties", {{other, {{"enum", values}}}}}};
    condition["then"] = {{"required", {key.path.substr(prefix.size())}}};
    schema["allOf"].push_back(condition);
  }
}

Json section_schema(std::string_view section) {
  const std::string prefix = section.empty() ? "" : std::string{section} + ".";
  Json schema;
  schema["description"] = section_doc(section);
  schema["type"] = "object";
  schema["additionalProperties"] = false;
  for (const std::string& name : names_below(section)) {
    const std::string path = prefix + name;
    const Key* key = find_key(path);
    schema["properties"][name] = key ? property_schema(*key) : section_schema(path);
    if (key ? key->required : has_required(path + ".")) schema["required"].push_back(name);
  }
  if (!section.empty()) add_conditions(schema, prefix);
  return schema;
}

}  // namespace

std::string scenario_schema() {
  Json schema;
  schema["$schema"] = "http://json-schema.org/draft-07/schema#";
  schema["title"] = "moesim scenario";
  schema.update(section_schema(""));
  return schema.dump(2) + "\n";
}

}  // namespace moesim
