#include "sim/scenario/value.hpp"

#include <charconv>
#include <cmath>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "models/units/error.hpp"
#include "models/units/text.hpp"
#include "sim/scenario/text_check.hpp"

namespace moesim {
namespace {

template <class Number>
std::optional<Number> read_whole(std::string_view text) {
  Number number{};
  const auto [rest, status] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (status != std::errc{} || rest != text.data() + text.size()) return std::nullopt;
  return number;
}

bool looks_like_a_number(std::string_view text) {
  return read_whole<double>(text).has_value();
}

bool is_modelled(const Choice& choice) {
  return choice.instead.empty();
}

std::vector<std::string> modelled_names(const Key& key) {
  std::vector<std::string> names;
  for (const Choice& choice : key.choices)
    if (is_modelled(choice)) names.emplace_back(choice.name);
  return names;
}

std::string range_text(const Key& key) {
  const std::string lower = fmt::format("{} {}", key.above_least ? "above" : "of at least", key.least);
  if (!std::isfinite(key.most)) return lower;
  if (key.above_least) return fmt::format("{} and at most {}", lower, key.most);
  return fmt::format("from {} to {}", key.least, key.most);
}

std::string bandwidth_range(const Key& key) {
  return fmt::format("from {} to {}", to_text(BytesPerSecond{key.least}), to_text(BytesPerSecond{key.most}));
}

InputError refused(const Key& key, const YamlNode& node, const std::string& where, const std::string& hint = {}) {
  return InputError{where, describe(node), expectation(key), hint};
}

void check_range(const Key& key, double value, const YamlNode& node, const std::string& where) {
  const bool low = key.above_least ? value <= key.least : value < key.least;
  if (low || value > key.most) throw refused(key, node, where);
}

ParsedValue parse_integer(const Key& key, const YamlNode& node, const std::string& where) {
  const auto number = read_whole<std::int64_t>(node.text);
  const bool octal = node.text.size() > 1 && node.text[0] == '0';  // 010 is 8 in YAML 1.1 and 10 in YAML 1.2
  if (node.quoted || !number || octal) throw refused(key, node, where);
  check_range(key, static_cast<double>(*number), node, where);
  return {*number, fmt::format("{}", *number)};
}

ParsedValue parse_number(const Key& key, const YamlNode& node, const std::string& where) {
  const auto number = read_whole<double>(node.text);
  if (node.quoted || !number) throw refused(key, node, where);
  if (!std::isfinite(*number)) throw InputError{where, node.text, "a finite number"};
  check_range(key, *number, node, where);
  return {*number, fmt::format("{}", *number)};
}

/// Only true and false: `no` and `on` are text in YAML 1.2 and booleans in YAML 1.1, so neither is taken.
ParsedValue parse_boolean(const Key& key, const YamlNode& node, const std::string& where) {
  const std::string& text = node.text;
  const bool yes = text == "true" || text == "yes" || text == "on" || text == "True";
  const bool no = text == "false" || text == "no" || text == "off" || text == "False";
  if (node.quoted || (text != "true" && text != "false"))
    throw refused(key, node, where, yes ? "true" : no ? "false" : "");
  for (const Choice& choice : key.choices)
    if (choice.name == text && !is_modelled(choice)) throw NotModelledYet{where, text, std::string{choice.instead}};
  return {text == "true", text};
}

ParsedValue parse_choice(const Key& key, const YamlNode& node, const std::string& where) {
  for (const Choice& choice : key.choices) {
    if (choice.name != node.text) continue;
    if (!is_modelled(choice)) throw NotModelledYet{where, node.text, std::string{choice.instead}};
    for (const Choice& canonical : key.choices)
      if (is_modelled(canonical) && canonical.value == choice.value)
        return {std::int64_t{choice.value}, std::string{canonical.name}};
  }
  throw refused(key, node, where, nearest(node.text, modelled_names(key)));
}

ParsedValue parse_bandwidth_value(const Key& key, const YamlNode& node, const std::string& where) {
  if (looks_like_a_number(node.text))  // network gear is sold in Gb/s, so that is the likely unit here
    throw InputError{where, "the bare number " + node.text, fmt::format("a unit: write {} Gb/s", node.text)};
  const BytesPerSecond value = parse_bandwidth(node.text, where);
  check_range(key, value.value(), node, where);
  return {value.value(), to_text(value)};
}

ParsedValue parse_seconds_value(const Key& key, const YamlNode& node, const std::string& where) {
  if (looks_like_a_number(node.text))
    throw InputError{where, "the bare number " + node.text, fmt::format("a unit: write {} ms", node.text)};
  const Seconds value = parse_seconds(node.text, where);
  check_range(key, value.value(), node, where);
  return {value.value(), to_text(value)};
}

ParsedValue parse_price(const Key& key, const YamlNode& node, const std::string& where) {
  constexpr std::string_view kUnit = " USD/h";
  if (looks_like_a_number(node.text))
    throw InputError{where, "the bare number " + node.text, fmt::format("a unit: write {}{}", node.text, kUnit)};
  std::string_view amount = node.text;
  if (!amount.ends_with(kUnit)) throw refused(key, node, where);
  amount.remove_suffix(kUnit.size());
  const auto number = read_whole<double>(amount);
  if (!number || !std::isfinite(*number)) throw refused(key, node, where);
  if (*number < 0) throw InputError{where, describe(node), "a price that is not negative"};
  return {*number, fmt::format("{}{}", *number, kUnit)};
}

ParsedValue parse_text(const Key& key, const YamlNode& node, const std::string& where) {
  if (!node.quoted && looks_like_a_number(node.text)) throw refused(key, node, where);
  if (node.text.empty()) throw InputError{where, "an empty text", expectation(key)};
  return {node.text, quoted_text(node.text)};
}

ParsedValue parse_scalar(const Key& key, const YamlNode& node, const std::string& where) {
  switch (key.type) {
    case KeyType::boolean:
      return parse_boolean(key, node, where);
    case KeyType::integer:
      return parse_integer(key, node, where);
    case KeyType::number:
      return parse_number(key, node, where);
    case KeyType::choice:
      return parse_choice(key, node, where);
    case KeyType::bandwidth:
      return parse_bandwidth_value(key, node, where);
    case KeyType::seconds:
      return parse_seconds_value(key, node, where);
    case KeyType::price:
      return parse_price(key, node, where);
    case KeyType::text:
    case KeyType::file:
    case KeyType::model:
    case KeyType::profile:
    case KeyType::columns:
    case KeyType::records:
      break;
  }
  return parse_text(key, node, where);
}

}  // namespace

ParsedValue parse_value(const Key& key, const YamlNode& node, const std::string& where) {
  if (key.type == KeyType::columns || key.type == KeyType::records || node.kind != YamlNode::Kind::scalar)
    throw refused(key, node, where);
  return parse_scalar(key, node, where);
}

std::int64_t named_choice(std::string_view path, const std::string& name, const std::string& where) {
  YamlNode node;
  node.kind = YamlNode::Kind::scalar;
  node.text = name;
  return std::get<std::int64_t>(parse_value(*find_key(path), node, where).value);
}

std::string expectation(const Key& key) {
  switch (key.type) {
    case KeyType::text:
      return "text";
    case KeyType::choice:
      return fmt::format("one of {}{}", fmt::join(modelled_names(key), ", "),
                         key.fields.empty() ? "" : ", or a list of them");
    case KeyType::boolean:
      return "true or false";
    case KeyType::integer:
      return "an integer " + range_text(key) + (key.fields.empty() ? "" : ", or a list of maps");
    case KeyType::number:
      return "a number " + range_text(key);
    case KeyType::bandwidth:
      return fmt::format("a bandwidth {}, as '400 Gb/s'", bandwidth_range(key));
    case KeyType::seconds:
      return key.above_least ? "a time above 0, as '50 ms'"
                             : fmt::format("a time of at most {}, as '2 ms'", to_text(Seconds{key.most}));
    case KeyType::price:
      return "a price, as '2.5 USD/h'";
    case KeyType::file:
      return "the path of a file";
    case KeyType::model:
      return "a model's name, or a path to a config.json";
    case KeyType::profile:
      return "roofline, a profile's name, or a path to one";
    case KeyType::records: {
      std::vector<std::string_view> names;
      for (const Key& field : key.fields) names.push_back(field.path);
      return names.size() == 1 ? fmt::format("a list of {}s", names[0])
                               : fmt::format("a list of maps with {}", fmt::join(names, ", "));
    }
    case KeyType::columns:
      break;
  }
  return std::string{key.shape};
}

std::string describe(const YamlNode& node) {
  switch (node.kind) {
    case YamlNode::Kind::null:
      return "nothing";
    case YamlNode::Kind::list:
      return "a list";
    case YamlNode::Kind::map:
      return "a map";
    case YamlNode::Kind::scalar:
      break;
  }
  return !node.quoted && looks_like_a_number(node.text) ? node.text : "the text " + shown(node.text);
}

std::string quoted_text(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else if (c == '\n' || c == '\r' || c == '\t') {
      result += c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t";
    } else if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') {
      result += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));  // no file may hold it as it is
    } else {
      result += c;
    }
  }
  return result + '"';
}

}  // namespace moesim
