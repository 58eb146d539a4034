#include "models/units/error.hpp"

#include <algorithm>
#include <cctype>
#include <numeric>

#include <fmt/format.h>

namespace moesim {
namespace {

std::string input_message(const std::string& where, const std::string& found, const std::string& expected,
                          const std::string& hint) {
  std::string text = fmt::format("{}: got {}, expected {}", where, found, expected);
  if (!hint.empty()) text += fmt::format("; did you mean {}?", hint);
  return text;
}

/// ASCII only: names and keys are.
std::string lower_case(std::string_view text) {
  std::string lower{text};
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return lower;
}

/// Edits that turn a into b: insert, delete or replace a letter, swap two neighbours (optimal string alignment).
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    before.swap(last);
    last.swap(row);
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({row[j - 1] + 1, last[j] + 1, replaced});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = std::min(row[j], before[j - 2] + 1);
    }
  }
  return row.back();
}

/// The first candidate that starts with the word, in its case if there is one.
std::string longer_name(std::string_view word, const std::vector<std::string>& candidates) {
  constexpr std::size_t kShortestWord = 2;
  if (word.size() < kShortestWord) return {};
  for (const std::string& candidate : candidates)
    if (candidate.starts_with(word)) return candidate;
  const std::string lower = lower_case(word);
  for (const std::string& candidate : candidates)
    if (lower_case(candidate).starts_with(lower)) return candidate;
  return {};
}

}  // namespace

InputError::InputError(std::string where, std::string found, std::string expected, std::string hint)
    : std::runtime_error{input_message(where, found, expected, hint)},
      where_{std::move(where)},
      found_{std::move(found)},
      expected_{std::move(expected)},
      hint_{std::move(hint)} {}

InputError::InputError(Verbatim, std::string message, std::string where, std::string found, std::string expected)
    : std::runtime_error{message}, where_{std::move(where)}, found_{std::move(found)}, expected_{std::move(expected)} {}

NotModelledYet::NotModelledYet(std::string where, std::string found, std::string instead)
    : InputError{Verbatim{}, fmt::format("{}: {} is not modelled yet; use {}", where, found, instead), where, found,
                 instead} {}

Infeasible::Infeasible(std::string limit, std::vector<std::string> remedies)
    : std::runtime_error{std::move(limit)}, remedies_{std::move(remedies)} {}

std::string nearest(std::string_view word, const std::vector<std::string>& candidates) {
  constexpr std::size_t kLongestWord = 200;  // a hostile key of a megabyte must not cost a quadratic comparison
  if (word.size() > kLongestWord) return {};
  const std::string lower = lower_case(word);
  std::string best;
  // Letters first, then their case: gb/s is Gb/s rather than GB/s.
  std::pair<std::size_t, std::size_t> best_distance{std::max<std::size_t>(word.size() / 3, 1) + 1, 0};
  for (const std::string& candidate : candidates) {
    const std::pair distance{edit_distance(lower, lower_case(candidate)), edit_distance(word, candidate)};
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best.empty() ? longer_name(word, candidates) : best;
}

}  // namespace moesim
