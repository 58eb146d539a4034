#pragma once
// Internal to models/llm: one config.json, read key by key with errors that name the place.

#include <cstddef>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace moesim {

/// No size of a model is above this; it keeps products of two sizes far from overflow.
inline constexpr int kLargestSize = 10'000'000;

/// Keys are the file's names, "section.key" for the second level. A null value counts as absent.
/// Every reader throws InputError "FILE:LINE:COLUMN: KEY: got FOUND, expected EXPECTED".
class ConfigReader {
public:
  /// Throws InputError when `text` is no JSON object.
  ConfigReader(const std::string& text, std::string origin);
  ~ConfigReader();

  /// Files of this class call `key` `in_file` ("section.key" for the second level). Readers below then take `key`, and
  /// errors name `in_file`.
  void rename(std::string_view key, std::string_view in_file);
  /// From here on keys are those inside the object `section`, and `read` is what must be read of it.
  /// Throws InputError when there is no such object, or when it has a key that is in neither list.
  void enter(const std::string& section, std::vector<std::string_view> read,
             const std::vector<std::string_view>& without_influence);

  /// The keys that a model class reads, and those that have no influence on what is modelled. Any other key in the file
  /// is an error, except those that start with '_'.
  void know(std::vector<std::string_view> read, const std::vector<std::string_view>& without_influence);
  /// The same for the keys inside an object.
  void know_section(const std::string& section, const std::vector<std::string_view>& keys);

  bool has(std::string_view key) const;
  bool is_null(std::string_view key) const;    ///< there, and null
  bool is_object(std::string_view key) const;  ///< false when absent; anything else is refused
  bool is_list(std::string_view key) const;

  int size(std::string_view key, int least = 1, int most = kLargestSize);  ///< required
  int size_or(std::string_view key, int fallback, std::string_view why, int least = 1, int most = kLargestSize);
  bool flag_or(std::string_view key, bool fallback, std::string_view why);
  double positive_number_or(std::string_view key, double fallback, std::string_view why);
  std::string word(std::string_view key, const std::vector<std::string>& choices);  ///< required, one of `choices`
  std::string text_or(std::string_view key, const std::string& fallback, std::string_view why);
  std::vector<int> numbers(std::string_view key) const;        ///< empty when absent
  std::vector<std::string> texts(std::string_view key) const;  ///< empty when absent

  /// FILE:LINE:COLUMN: KEY, or FILE: KEY when the key is not there.
  std::string where(std::string_view key) const;
  std::string found(std::string_view key) const;  ///< the value as JSON, "nothing" when absent
  [[noreturn]] void refuse(std::string_view key, const std::string& expected, const std::string& hint = {}) const;
  [[noreturn]] void not_modelled(std::string_view key, const std::string& instead) const;
  /// NotModelledYet unless the flag is absent or `modelled`.
  void only_flag(std::string_view key, bool modelled);

  const std::string& origin() const { return origin_; }
  const std::vector<std::string>& defaulted() const { return defaulted_; }
  const std::vector<std::string>& left_out() const { return left_out_; }
  /// The file has `key`, and the model leaves it out.
  void leave_out(std::string_view key, std::string_view why);
  void note_default(std::string_view key, std::string_view value, std::string_view why);
  /// Our own mistake when it throws std::logic_error: a key of the list that no code read.
  void check_all_read() const;

private:
  std::string in_file(std::string_view key) const;
  const nlohmann::json* value(std::string_view key) const;

  std::string text_, origin_, section_;
  std::map<std::string, std::string, std::less<>> renamed_;
  std::unique_ptr<nlohmann::json> root_;
  std::map<std::string, std::size_t, std::less<>> offsets_;
  std::vector<std::string> order_;  ///< top-level keys as they stand in the file
  std::vector<std::string_view> to_read_;
  mutable std::set<std::string, std::less<>> was_read_;
  std::vector<std::string> defaulted_, left_out_;
};

}  // namespace moesim
