#include "models/kernels/published/curve_text.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "models/kernels/published/curve_scale.hpp"

namespace moesim {
namespace {

constexpr double kMost = 1e12, kLargestTile = 4096;
/// No name begins with a control character.
constexpr std::string_view kMarker = "\1curves ";

/// Walks over a text; every step says whether it found what it should.
class Scanner {
public:
  explicit Scanner(std::string_view text) : at_{text.data()}, end_{text.data() + text.size()} {}

  bool takes(char wanted) {
    skip_spaces();
    if (at_ == end_ || *at_ != wanted) return false;
    ++at_;
    return true;
  }
  /// JSON's numbers, of which those are bounded that profiles have.
  bool number(double& value) {
    skip_spaces();
    if (at_ == end_ || *at_ < '0' || *at_ > '9' || (*at_ == '0' && at_ + 1 != end_ && at_[1] >= '0' && at_[1] <= '9'))
      return false;
    const auto [next, error] = std::from_chars(at_, end_, value);
    if (error != std::errc{} || value > kMost || next[-1] == '.') return false;
    at_ = next;
    return true;
  }
  bool numbers(std::vector<double>& values) {
    if (!takes('[')) return false;
    if (takes(']')) return true;
    do {
      double value = 0;
      if (!number(value)) return false;
      values.push_back(value);
    } while (takes(','));
    return takes(']');
  }
  /// A text without escapes.
  bool text(std::string_view& value) {
    if (!takes('"')) return false;
    const std::string_view rest{at_, static_cast<std::size_t>(end_ - at_)};
    value = rest.substr(0, rest.find('"'));
    if (value.size() == rest.size()) return false;
    at_ += value.size() + 1;
    return true;
  }
  const char* position() const { return at_; }

private:
  void skip_spaces() {
    while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t')) ++at_;
  }
  const char *at_, *end_;
};

bool is_sound(const Curve& curve) {
  if (curve.size.empty() || curve.size.size() != curve.microseconds.size()) return false;
  for (std::size_t i = 0; i < curve.size.size(); ++i) {
    if (curve.microseconds[i] <= 0) return false;
    if (i > 0 && (curve.size[i] <= curve.size[i - 1] || curve.microseconds[i] < curve.microseconds[i - 1]))
      return false;
  }
  return true;
}

bool curve(Scanner& scanner, Curve& made) {
  if (!scanner.takes('[') || !scanner.numbers(made.at) || !scanner.takes(',') || !scanner.numbers(made.size) ||
      !scanner.takes(',') || !scanner.numbers(made.microseconds))
    return false;
  if (scanner.takes(',')) {
    double tile = 0;
    if (!scanner.number(tile) || tile < 1 || tile > kLargestTile || tile != static_cast<int>(tile)) return false;
    made.tile = static_cast<int>(tile);
  }
  return scanner.takes(']') && is_sound(made);
}

bool list_of_curves(Scanner& scanner, std::vector<Curve>& curves) {
  if (!scanner.takes('[')) return false;
  do {
    if (!curve(scanner, curves.emplace_back())) return false;
  } while (scanner.takes(','));
  return scanner.takes(']');
}

/// What a group of packed curves may leave to the one before it.
struct Kept {
  std::vector<double> sizes, last;
};

bool takes_rising(Scanner& scanner, std::vector<double>& kept) {
  std::vector<double> values;
  if (!scanner.numbers(values)) return false;
  if (!values.empty()) kept = std::move(values);
  return !kept.empty() && std::adjacent_find(kept.begin(), kept.end(), std::greater_equal<>{}) == kept.end();
}

bool group(Scanner& scanner, int alignment, Kept& kept, std::vector<Curve>& curves) {
  std::vector<double> at;
  if (!scanner.takes('[') || !scanner.numbers(at) || !scanner.takes(',') || !takes_rising(scanner, kept.sizes) ||
      !scanner.takes(',') || !takes_rising(scanner, kept.last) || !scanner.takes(',') || !scanner.takes('['))
    return false;
  at.push_back(0);
  for (std::size_t i = 0; i < kept.last.size(); ++i) {
    std::string_view times;
    if ((i > 0 && !scanner.takes(',')) || !scanner.text(times)) return false;
    auto curve = unpacked(times, kept.sizes, alignment);
    if (!curve) return false;
    at.back() = kept.last[i];
    curve->at = at;
    curves.push_back(std::move(*curve));
  }
  return scanner.takes(']') && scanner.takes(']');
}

bool list_of_groups(Scanner& scanner, int alignment, std::vector<Curve>& curves) {
  Kept kept;
  if (!scanner.takes('[')) return false;
  do {
    if (!group(scanner, alignment, kept, curves)) return false;
  } while (scanner.takes(','));
  return scanner.takes(']');
}

/// Of `..."alignment":4,`, which is how packed tables are written; 0: no such end.
int alignment_at_end(std::string_view text) {
  constexpr std::string_view kKey = "\"alignment\":";
  const std::string_view tail = text.substr(text.size() - std::min<std::size_t>(text.size(), 20));
  const std::size_t key = tail.rfind(kKey);
  if (key == std::string_view::npos) return 0;
  const std::string_view number = tail.substr(key + kKey.size());
  int alignment = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), alignment);
  const bool ends = error == std::errc{} && std::string_view{end, number.data() + number.size()} == ",";
  return ends && alignment >= 1 && alignment <= kLargestTile ? alignment : 0;
}

}  // namespace

std::optional<std::size_t> marked_curves(std::string_view value) {
  if (!value.starts_with(kMarker)) return std::nullopt;
  std::size_t index = 0;
  const auto [end, error] = std::from_chars(value.data() + kMarker.size(), value.data() + value.size(), index);
  return error == std::errc{} && end == value.data() + value.size() ? std::optional{index} : std::nullopt;
}

CurvesApart cut_curves(const std::string& text) {
  constexpr std::string_view kKey = "\"curves\"";
  CurvesApart made;
  std::size_t copied = 0;
  for (std::size_t key = text.find(kKey); key != std::string::npos; key = text.find(kKey, key + kKey.size())) {
    Scanner scanner{std::string_view{text}.substr(key + kKey.size())};
    if (!scanner.takes(':')) continue;
    const std::size_t begin = text.find('[', static_cast<std::size_t>(scanner.position() - text.data()));
    CurveText found;
    const int alignment = alignment_at_end(std::string_view{text}.substr(0, key));
    if (!(alignment ? list_of_groups(scanner, alignment, found.curves) : list_of_curves(scanner, found.curves)))
      continue;
    const auto end = static_cast<std::size_t>(scanner.position() - text.data());
    found.text = std::string_view{text}.substr(begin, end - begin);
    made.rest.append(text, copied, begin - copied).append(fmt::format("\"\\u0001curves {}\"", made.curves.size()));
    copied = end;
    made.curves.push_back(std::move(found));
  }
  made.rest.append(text, copied);
  return made;
}

}  // namespace moesim
