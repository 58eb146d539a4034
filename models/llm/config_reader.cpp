#include "models/llm/config_reader.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "models/llm/json_scan.hpp"
#include "models/units/error.hpp"
#include "models/units/json_fault.hpp"

namespace moesim {
namespace {

using Json = nlohmann::json;

bool contains(const std::vector<std::string_view>& keys, std::string_view key) {
  return std::find(keys.begin(), keys.end(), key) != keys.end();
}

bool is_comment(std::string_view key) {
  return key.starts_with('_');
}

/// An int from 0 to `most`, or -1: too large, negative, a float, not a number.
int as_size(const Json& value, int most) {
  if (!value.is_number_integer()) return -1;
  if (value.is_number_unsigned() && value.get<std::uint64_t>() > static_cast<std::uint64_t>(most)) return -1;
  return static_cast<int>(std::clamp<std::int64_t>(value.get<std::int64_t>(), -1, most));
}

}  // namespace

ConfigReader::ConfigReader(const std::string& text, std::string origin) : text_{text}, origin_{std::move(origin)} {
  for (const KeyPlace& key : scan_json(text_, origin_)) {
    if (key.section.empty()) order_.push_back(key.name);
    offsets_.emplace(key.section.empty() ? key.name : key.section + "." + key.name, key.offset);
  }
  root_ = std::make_unique<Json>(Json::parse(text_));
  if (!root_->is_object())
    throw InputError{origin_ + ":1:1", root_->type_name(), "an object, as in a Hugging Face config.json"};
}

ConfigReader::~ConfigReader() = default;

void ConfigReader::know(std::vector<std::string_view> read, const std::vector<std::string_view>& without_influence) {
  to_read_ = std::move(read);
  for (const std::string& key : order_) {
    if (is_comment(key) || contains(to_read_, key) || contains(without_influence, key)) continue;
    std::vector<std::string> known{to_read_.begin(), to_read_.end()};
    known.insert(known.end(), without_influence.begin(), without_influence.end());
    throw InputError{where(key), "an unknown key", "a key of this model class", nearest(key, known)};
  }
}

void ConfigReader::know_section(const std::string& section, const std::vector<std::string_view>& keys) {
  for (const auto& [key, unused] : value(section)->items()) {
    if (is_comment(key) || contains(keys, key)) continue;
    throw InputError{where(fmt::format("{}.{}", section, key)), "an unknown key", fmt::format("a key of {}", section),
                     nearest(key, {keys.begin(), keys.end()})};
  }
}

void ConfigReader::rename(std::string_view key, std::string_view in_file) {
  renamed_.emplace(key, in_file);
}

void ConfigReader::enter(const std::string& section, std::vector<std::string_view> read,
                         const std::vector<std::string_view>& without_influence) {
  if (!is_object(section)) refuse(section, "an object");
  std::vector<std::string_view> known = read;
  known.insert(known.end(), without_influence.begin(), without_influence.end());
  know_section(section, known);
  to_read_ = std::move(read);
  section_ = section + ".";
}

std::string ConfigReader::in_file(std::string_view key) const {
  const auto renamed = renamed_.find(key);
  return section_ + (renamed == renamed_.end() ? std::string{key} : renamed->second);
}

const Json* ConfigReader::value(std::string_view key) const {
  const std::string path = in_file(key);
  was_read_.insert(path.substr(section_.size()));
  const Json* at = root_.get();
  std::string_view rest = path;
  while (at != nullptr) {
    const auto dot = rest.find('.');
    const auto found = at->is_object() ? at->find(std::string{rest.substr(0, dot)}) : at->end();
    if (found == at->end() || found->is_null()) return nullptr;
    at = &*found;
    if (dot == std::string_view::npos) break;
    rest.remove_prefix(dot + 1);
  }
  return at;
}

bool ConfigReader::has(std::string_view key) const {
  return value(key) != nullptr;
}

bool ConfigReader::is_null(std::string_view key) const {
  return !has(key) && offsets_.count(in_file(key)) > 0;
}

bool ConfigReader::is_list(std::string_view key) const {
  return has(key) && value(key)->is_array();
}

bool ConfigReader::is_object(std::string_view key) const {
  const Json* at = value(key);
  if (at != nullptr && !at->is_object()) refuse(key, "an object or null");
  return at != nullptr;
}

int ConfigReader::size(std::string_view key, int least, int most) {
  const Json* at = value(key);
  const int size = at == nullptr ? -1 : as_size(*at, most);
  if (size < least) refuse(key, fmt::format("an integer from {} to {}", least, most));
  return size;
}

int ConfigReader::size_or(std::string_view key, int fallback, std::string_view why, int least, int most) {
  if (has(key)) return size(key, least, most);
  note_default(key, std::to_string(fallback), why);
  return fallback;
}

bool ConfigReader::flag_or(std::string_view key, bool fallback, std::string_view why) {
  const Json* at = value(key);
  if (at != nullptr && !at->is_boolean()) refuse(key, "true or false");
  if (at != nullptr) return at->get<bool>();
  note_default(key, fallback ? "true" : "false", why);
  return fallback;
}

double ConfigReader::positive_number_or(std::string_view key, double fallback, std::string_view why) {
  const Json* at = value(key);
  if (at == nullptr) {
    note_default(key, fmt::format("{}", fallback), why);
    return fallback;
  }
  const double number = at->is_number() ? at->get<double>() : 0;
  if (!(number > 0) || !std::isfinite(number)) refuse(key, "a number above 0");
  return number;
}

std::string ConfigReader::word(std::string_view key, const std::vector<std::string>& choices) {
  const Json* at = value(key);
  std::string text = at != nullptr && at->is_string() ? at->get<std::string>() : std::string{};
  if (std::find(choices.begin(), choices.end(), text) == choices.end())
    refuse(key, fmt::format("one of {}", fmt::join(choices, ", ")), nearest(text, choices));
  return text;
}

std::string ConfigReader::text_or(std::string_view key, const std::string& fallback, std::string_view why) {
  const Json* at = value(key);
  if (at == nullptr) {
    note_default(key, fallback, why);
    return fallback;
  }
  if (!at->is_string()) refuse(key, "text");
  return at->get<std::string>();
}

std::vector<int> ConfigReader::numbers(std::string_view key) const {
  const Json* at = value(key);
  if (at == nullptr) return {};
  std::vector<int> numbers;
  if (!at->is_array()) refuse(key, "a list of integers");
  for (const Json& item : *at) numbers.push_back(as_size(item, kLargestSize));
  if (std::find(numbers.begin(), numbers.end(), -1) != numbers.end()) refuse(key, "a list of integers from 0");
  return numbers;
}

std::vector<std::string> ConfigReader::texts(std::string_view key) const {
  const Json* at = value(key);
  if (at == nullptr) return {};
  std::vector<std::string> texts;
  if (!at->is_array()) refuse(key, "a list of texts");
  for (const Json& item : *at) {
    if (!item.is_string()) refuse(key, "a list of texts");
    texts.push_back(item.get<std::string>());
  }
  return texts;
}

std::string ConfigReader::where(std::string_view key) const {
  const std::string path = in_file(key);
  const auto at = offsets_.find(path);
  const std::string name = shown_piece(path);
  if (at == offsets_.end()) return fmt::format("{}: {}", origin_, name);
  return fmt::format("{}:{}: {}", origin_, line_and_column(text_, at->second), name);
}

std::string ConfigReader::found(std::string_view key) const {
  const Json* at = value(key);
  if (at == nullptr) return offsets_.count(in_file(key)) > 0 ? "null" : "nothing";
  if (!at->is_string()) return shown_piece(at->dump());
  const auto& text = at->get_ref<const std::string&>();
  return Json::accept(text) ? fmt::format("the text '{}'", shown_piece(text)) : shown_piece(text);  // "4096" is no 4096
}

void ConfigReader::refuse(std::string_view key, const std::string& expected, const std::string& hint) const {
  throw InputError{where(key), found(key), expected, hint};
}

void ConfigReader::not_modelled(std::string_view key, const std::string& instead) const {
  throw NotModelledYet{where(key), found(key), instead};
}

void ConfigReader::only_flag(std::string_view key, bool modelled) {
  const Json* at = value(key);
  if (at == nullptr) return;
  if (!at->is_boolean()) refuse(key, "true or false");
  if (at->get<bool>() != modelled) not_modelled(key, modelled ? "true" : "false");
}

void ConfigReader::leave_out(std::string_view key, std::string_view why) {
  left_out_.push_back(fmt::format("{}: {}", in_file(key), why));
}

void ConfigReader::note_default(std::string_view key, std::string_view value, std::string_view why) {
  defaulted_.push_back(fmt::format("{} = {} ({})", in_file(key), value, why));
}

void ConfigReader::check_all_read() const {
  for (std::string_view key : to_read_)
    if (was_read_.count(key) == 0) throw std::logic_error{fmt::format("config key {} is listed but never read", key)};
}

}  // namespace moesim
