#include "sim/metrics/json_value.hpp"

#include <cmath>
#include <fstream>
#include <iterator>
#include <limits>

#include "models/units/error.hpp"

namespace moesim {
namespace fs = std::filesystem;
namespace {

using Json = nlohmann::json;

constexpr double kRounding = 1e-6;

}  // namespace

JsonValue JsonValue::operator[](const std::string& key) const {
  if (!json_.is_object() || !json_.contains(key))
    throw InputError{place(), fmt::format("no key '{}'", key), "whole results"};
  return {fmt::format("{}{}{}", place_, place_.back() == ':' ? " " : ".", key), json_[key]};
}

double JsonValue::number() const {
  if (!json_.is_number()) refuse("a number");
  return json_.get<double>();
}

double JsonValue::at_least(double least) const {
  if (number() < least - kRounding * std::abs(least)) refuse(fmt::format("at least {:g}", least));
  return number();
}

double JsonValue::share() const {
  if (amount() > 1 + kRounding) refuse("a share from 0 to 1");
  return number();
}

int JsonValue::count(int least) const {
  constexpr long long kMost = std::numeric_limits<int>::max();
  if (!json_.is_number_integer() || json_.get<double>() < least || json_.get<double>() > static_cast<double>(kMost))
    refuse(fmt::format("a whole number from {} to {}", least, kMost));
  return json_.get<int>();
}

std::uint64_t JsonValue::natural() const {
  if (!json_.is_number_unsigned()) refuse("a whole number of at least 0");
  return json_.get<std::uint64_t>();
}

bool JsonValue::truth() const {
  if (!json_.is_boolean()) refuse("true or false");
  return json_.get<bool>();
}

std::string JsonValue::text() const {
  if (!json_.is_string()) refuse("a text");
  return json_.get<std::string>();
}

void JsonValue::refuse(const std::string& expected) const {
  throw InputError{place(), json_.dump(-1, ' ', false, Json::error_handler_t::replace).substr(0, 40), expected};
}

std::string JsonValue::place() const {
  return place_.back() == ':' ? place_.substr(0, place_.size() - 1) : place_;
}

void require_results(const fs::path& file) {
  std::error_code failure;
  if (fs::is_regular_file(file, failure)) return;
  throw InputError{file.string(), fs::exists(file, failure) ? "what is no regular file" : "no such file",
                   "a whole result folder of moesim"};
}

Json parse_results(const fs::path& file) {
  require_results(file);
  std::ifstream in{file, std::ios::binary};
  const std::string text{std::istreambuf_iterator<char>{in}, {}};
  try {
    return Json::parse(text);
  } catch (const Json::parse_error& error) {
    throw InputError{file.string(), fmt::format("damaged JSON at byte {} of {}", error.byte, text.size()),
                     "results as moesim writes them"};
  } catch (const Json::exception&) {
    throw InputError{file.string(), "a number beyond all bounds", "results as moesim writes them"};
  }
}

}  // namespace moesim
