#pragma once
// A value of a results file that knows its place, for errors.

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "models/units/quantity.hpp"

namespace moesim {

/// Every reader throws InputError at the place for what it does not expect.
class JsonValue {
public:
  /// Of a whole file.
  JsonValue(const nlohmann::json& json, const std::string& file) : json_{json}, place_{file + ":"} {}

  JsonValue operator[](const std::string& key) const;
  template <class Visit>
  void each(const Visit& visit) const {
    if (!json_.is_array()) refuse("a list");
    for (std::size_t i = 0; i < json_.size(); ++i) visit(JsonValue{fmt::format("{}[{}]", place_, i), json_[i]});
  }
  template <class Visit>
  void each_member(const Visit& visit) const {
    if (!json_.is_object()) refuse("an object");
    for (const auto& [key, value] : json_.items()) visit(key, (*this)[key]);
  }

  bool is_null() const { return json_.is_null(); }
  double number() const;
  double at_least(double least) const;  ///< within rounding
  double amount() const { return at_least(0); }
  double share() const;  ///< from 0 to 1, within rounding
  int count(int least) const;
  std::uint64_t natural() const;
  bool truth() const;
  std::string text() const;
  std::string text_or_empty() const { return is_null() ? "" : text(); }
  Seconds milliseconds() const { return Seconds{amount() * 1e-3}; }
  Bytes bytes() const { return Bytes{amount()}; }

  /// For what contradicts other values.
  [[noreturn]] void refuse(const std::string& expected) const;
  /// "summary.json: step.mean_ms"
  std::string place() const;

private:
  JsonValue(std::string place, const nlohmann::json& json) : json_{json}, place_{std::move(place)} {}

  const nlohmann::json& json_;
  std::string place_;
};

/// A file that is JSON. Throws InputError naming it: no regular file (a pipe would never end), damaged, a number beyond
/// all bounds.
nlohmann::json parse_results(const std::filesystem::path& file);

/// Throws InputError when a results file is not there, or not a regular file.
void require_results(const std::filesystem::path& file);

}  // namespace moesim
