#include "models/llm/json_scan.hpp"

#include <algorithm>
#include <cctype>
#include <iterator>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "models/units/json_fault.hpp"

namespace moesim {
namespace {

constexpr std::size_t kDeepestNesting = 64;

/// Reads the text one byte at a time and lets others see how far it is.
class CountingIterator {
public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  CountingIterator(const char* at, const char** seen) : at_{at}, seen_{seen} {}
  reference operator*() const { return *at_; }
  CountingIterator& operator++() {
    *seen_ = ++at_;
    return *this;
  }
  CountingIterator operator++(int) {
    const CountingIterator before = *this;
    ++*this;
    return before;
  }
  bool operator==(const CountingIterator& other) const { return at_ == other.at_; }
  bool operator!=(const CountingIterator& other) const { return at_ != other.at_; }

private:
  const char* at_;
  const char** seen_;
};

class Scanner : public nlohmann::json_sax<nlohmann::json> {
public:
  Scanner(const std::string& text, std::string origin) : text_{text}, origin_{std::move(origin)}, seen_{text.data()} {}

  std::vector<KeyPlace> run() {
    const char* end = text_.data() + text_.size();
    nlohmann::json::sax_parse(CountingIterator{text_.data(), &seen_}, CountingIterator{end, &seen_}, this);
    return std::move(keys_);
  }

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }

  bool start_object(std::size_t) override { return open(); }
  bool start_array(std::size_t) override { return open(); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(string_t& name) override {
    Level& level = levels_.back();
    if (!level.keys.insert(name).second)
      refuse(key_offset(), fmt::format("the key {} twice", shown_piece(name)), "every key once");
    level.current = name;
    if (levels_.size() == 1) keys_.push_back({{}, name, key_offset()});
    if (levels_.size() == 2) keys_.push_back({levels_[0].current, name, key_offset()});
    return true;
  }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception& error) override {
    throw broken_json(text_, origin_, position, error.what());
  }

private:
  struct Level {
    std::set<std::string> keys;
    std::string current;
  };

  bool open() {
    levels_.emplace_back();
    if (levels_.size() > kDeepestNesting)
      refuse(offset() - 1, "deeper nesting", fmt::format("at most {} levels", kDeepestNesting));
    return true;
  }
  bool close() {
    levels_.pop_back();
    return true;
  }

  std::size_t offset() const { return static_cast<std::size_t>(seen_ - text_.data()); }
  /// The lexer stands just behind the closing quote of a key.
  std::size_t key_offset() const { return offset() < 2 ? 0 : text_.rfind('"', offset() - 2); }

  [[noreturn]] void refuse(std::size_t at, const std::string& found, const std::string& expected) const {
    throw InputError{fmt::format("{}:{}", origin_, line_and_column(text_, at)), found, expected};
  }

  const std::string& text_;
  std::string origin_;
  const char* seen_;
  std::vector<Level> levels_;
  std::vector<KeyPlace> keys_;
};

}  // namespace

std::vector<KeyPlace> scan_json(const std::string& text, const std::string& origin) {
  return Scanner{text, origin}.run();
}

}  // namespace moesim
