#include "models/hardware/catalogue_json.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "models/units/error.hpp"
#include "models/units/json_fault.hpp"
#include "models/units/utf8.hpp"

namespace moesim {
namespace {

using nlohmann::json;

std::string shown(const json& value) {
  constexpr std::size_t kShown = 60;
  const std::string text = value.dump();
  return text.size() <= kShown ? text : text.substr(0, kShown) + "...";
}

/// What stands from a quote to the one that ends it, without both.
std::string_view quoted(std::string_view text, std::size_t quote) {
  std::size_t end = quote + 1;
  while (end < text.size() && text[end] != '"') end += text[end] == '\\' ? 2 : 1;
  return text.substr(quote + 1, end - (quote + 1));
}

/// Without escapes.
std::string plain(std::string_view key) {
  return key.find('\\') == std::string_view::npos ? std::string{key}
                                                  : json::parse(fmt::format("\"{}\"", key)).get<std::string>();
}

}  // namespace

void refuse_repeated_keys(std::string_view text, const std::string& origin) {
  std::vector<std::string> keys;  // of all objects that are open
  std::vector<std::size_t> first;
  for (std::size_t at = text.find_first_of("{}\""); at < text.size(); at = text.find_first_of("{}\"", at + 1)) {
    if (text[at] == '{') first.push_back(keys.size());
    if (text[at] == '"') {
      const std::string_view string = quoted(text, at);
      at += string.size() + 1;
      if (const std::size_t next = text.find_first_not_of(" \n\r\t", at + 1); next < text.size() && text[next] == ':')
        keys.push_back(plain(string));
    }
    if (text[at] != '}') continue;
    const auto own = keys.begin() + static_cast<std::ptrdiff_t>(first.back());
    std::sort(own, keys.end());
    if (const auto twice = std::adjacent_find(own, keys.end()); twice != keys.end())
      throw InputError{origin, fmt::format("key {} twice", shown(*twice)), "each key once"};
    keys.resize(first.back());
    first.pop_back();
  }
}

json parse_catalogue_json(const std::string& text, const std::string& origin) {
  try {
    json document = json::parse(text);
    refuse_repeated_keys(text, origin);
    return document;
  } catch (const json::parse_error& error) {
    throw broken_json(text, origin, error.byte, error.what());
  } catch (const json::exception& error) {  // a number beyond a double, which the message names in quotes
    const std::string message = error.what();
    const std::size_t quote = message.find('\'') + 1;
    const std::string number = message.substr(quote, message.rfind('\'') - quote);
    throw broken_json(text, origin, text.find(number) + number.size(), message);
  }
}

CatalogueObject::CatalogueObject(const json& object, std::string where, const std::vector<std::string>& keys)
    : object_{object}, where_{std::move(where)} {
  const std::string place = where_.substr(0, where_.find_last_not_of(": ") + 1);
  if (!object.is_object())
    throw InputError{place, shown(object), fmt::format("an object with {}", fmt::join(keys, ", "))};
  for (const auto& [key, value] : object.items())
    if (std::find(keys.begin(), keys.end(), key) == keys.end())
      throw InputError{place, fmt::format("unknown key '{}'", key), fmt::format("one of {}", fmt::join(keys, ", ")),
                       nearest(key, keys)};
  for (const std::string& key : keys)
    if (!object.contains(key)) throw InputError{place, fmt::format("no key '{}'", key), "it; every key is required"};
}

CatalogueObject CatalogueObject::object(const std::string& key, const std::vector<std::string>& keys) const {
  return CatalogueObject{object_.at(key), where(key), keys};
}

std::string CatalogueObject::text(const std::string& key) const {
  const json& value = object_.at(key);
  if (!value.is_string() || value.get_ref<const std::string&>().empty())
    throw InputError{where(key), shown(value), "a text that is not empty"};
  const auto& text = value.get_ref<const std::string&>();
  if (const auto at = not_printable(text))  // the parser has seen to UTF-8
    throw InputError{where(key), fmt::format("the control character 0x{:02X}", static_cast<unsigned char>(text[*at])),
                     "text without control characters"};
  return text;
}

int CatalogueObject::count(const std::string& key) const {
  const json& value = object_.at(key);
  if (!value.is_number_integer() || value < 1 || value > std::numeric_limits<int>::max())
    throw InputError{where(key), shown(value), "a count of at least 1"};
  return value.get<int>();
}

double CatalogueObject::number(const std::string& key, double least, double most) const {
  const json& value = object_.at(key);
  const bool valid = value.is_number() && value.get<double>() >= least && value.get<double>() <= most;
  if (!valid) throw InputError{where(key), shown(value), fmt::format("a number from {} to {}", least, most)};
  return value.get<double>();
}

}  // namespace moesim
