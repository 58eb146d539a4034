#include "models/hardware/catalogue_json.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include <fmt/format.h>

#include "models/units/json_fault.hpp"

namespace moesim {
namespace {

using nlohmann::json;

std::string shown(const json& value) {
  constexpr std::size_t kShown = 60;
  const std::string text = value.dump();
  return text.size() <= kShown ? text : text.substr(0, kShown) + "...";
}

/// nlohmann keeps the last of two equal keys silently; a catalogue must not.
class DuplicateKeys {
public:
  explicit DuplicateKeys(std::string origin) : origin_{std::move(origin)} {}

  bool operator()(json::parse_event_t event, const json& parsed) {
    if (event == json::parse_event_t::object_start) open_.emplace_back();
    if (event == json::parse_event_t::object_end) open_.pop_back();
    if (event == json::parse_event_t::key && !open_.back().insert(parsed.get<std::string>()).second)
      throw InputError{origin_, fmt::format("key {} twice", shown(parsed)), "each key once"};
    return true;
  }

private:
  std::string origin_;
  std::vector<std::set<std::string>> open_;
};

}  // namespace

json parse_catalogue_json(const std::string& text, const std::string& origin) {
  DuplicateKeys duplicates{origin};
  try {
    return json::parse(text,
                       [&](int, json::parse_event_t event, const json& parsed) { return duplicates(event, parsed); });
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
  return value.get<std::string>();
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
