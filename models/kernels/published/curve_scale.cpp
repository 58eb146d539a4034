#include "models/kernels/published/curve_scale.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace moesim {
namespace {

/// Step L of the scale is e^(L / 100) us.
constexpr int kLeast = -1000, kMost = 2800;
/// From one knot to the next: times double with sizes that do, which is 69 steps.
constexpr int kDown = 20, kUp = 70;
constexpr char kGap = ' ', kAnew = '~';

const std::vector<double>& scale() {
  static const std::vector<double> times = [] {
    std::vector<double> made;
    for (int step = kLeast; step <= kMost; ++step) made.push_back(std::exp(step / 100.0));
    return made;
  }();
  return times;
}

/// Printable characters that JSON does not escape.
constexpr int kDigits = kDown + kUp + 1;
constexpr std::array<char, kDigits> digits() {
  std::array<char, kDigits> made{};
  std::size_t count = 0;
  for (char c = '!'; c < kAnew; ++c)
    if (c != '"' && c != '\\') made[count++] = c;
  return made;
}
constexpr std::array<signed char, 128> values() {
  std::array<signed char, 128> made{};
  for (signed char& value : made) value = -1;
  for (std::size_t digit = 0; digit < digits().size(); ++digit)
    made[static_cast<std::size_t>(digits()[digit])] = static_cast<signed char>(digit);
  return made;
}
constexpr auto kDigitOf = digits();
constexpr auto kValueOf = values();

int step_of(double microseconds) {
  return static_cast<int>(std::clamp<long>(std::lround(100 * std::log(microseconds)), kLeast, kMost));
}

double time_at(int step) {
  return scale()[static_cast<std::size_t>(step - kLeast)];
}

/// The step before each knot, by whether its size is aligned.
class Before {
public:
  explicit Before(int alignment) : alignment_{alignment} {}
  /// Nothing at first.
  std::optional<int> of(double size) const {
    const auto& own = last_[kind(size)];
    return own ? own : last_[1 - kind(size)];
  }
  void set(double size, int step) { last_[kind(size)] = step; }

private:
  std::size_t kind(double size) const { return is_aligned(size, alignment_) ? 1 : 0; }
  int alignment_;
  std::array<std::optional<int>, 2> last_;
};

void append(std::string& text, int step, std::optional<int> before) {
  const auto digit = [](int value) { return kDigitOf[static_cast<std::size_t>(value)]; };
  if (before && step >= *before - kDown && step <= *before + kUp) {
    text += digit(step - *before + kDown);
  } else {
    (text += kAnew) += digit((step - kLeast) / kDigits);
    text += digit((step - kLeast) % kDigits);
  }
}

/// -1 for no digit.
int value_of(char c) {
  return static_cast<unsigned char>(c) < kValueOf.size() ? kValueOf[static_cast<std::size_t>(c)] : -1;
}

/// The step that the text goes to from `at`, which is moved behind it.
std::optional<int> step_at(std::string_view text, std::size_t& at, std::optional<int> before) {
  int step = kLeast - 1;
  if (text[at] != kAnew) {
    const int value = value_of(text[at++]);
    if (value >= 0 && before) step = *before + value - kDown;
  } else if (at + 2 < text.size()) {
    const int high = value_of(text[at + 1]), low = value_of(text[at + 2]);
    at += 3;
    if (high >= 0 && low >= 0) step = kLeast + high * kDigits + low;
  }
  return step >= kLeast && step <= kMost ? std::optional{step} : std::nullopt;
}

}  // namespace

double on_scale(double microseconds) {
  return time_at(step_of(microseconds));
}

std::optional<std::string> packed(const Curve& curve, const std::vector<double>& sizes) {
  if (curve.tile != 1) return std::nullopt;
  std::string text;
  Before before{curve.alignment};
  std::size_t next = 0;
  for (std::size_t i = 0; i < sizes.size() && next < curve.size.size(); ++i) {
    if (curve.size[next] != sizes[i]) {
      text += kGap;
      continue;
    }
    const int step = step_of(curve.microseconds[next]);
    if (time_at(step) != curve.microseconds[next++]) return std::nullopt;
    append(text, step, before.of(sizes[i]));
    before.set(sizes[i], step);
  }
  if (next < curve.size.size()) return std::nullopt;
  const auto last = std::upper_bound(sizes.begin(), sizes.end(), curve.size.back());
  text.append(static_cast<std::size_t>(sizes.end() - last), kGap);
  return text;
}

std::optional<Curve> unpacked(std::string_view text, const std::vector<double>& sizes, int alignment) {
  Curve made{{}, {}, {}, 1, alignment};
  made.size.reserve(text.size());
  made.microseconds.reserve(text.size());
  Before before{alignment};
  std::size_t i = 0;
  for (std::size_t at = 0; at < text.size(); ++i) {
    if (i == sizes.size()) return std::nullopt;
    if (text[at] == kGap) {
      ++at;
      continue;
    }
    const auto step = step_at(text, at, before.of(sizes[i]));
    if (!step) return std::nullopt;
    before.set(sizes[i], *step);
    made.size.push_back(sizes[i]);
    made.microseconds.push_back(time_at(*step));
  }
  return made.size.empty() || i < sizes.size() ? std::nullopt : std::optional{std::move(made)};
}

}  // namespace moesim
