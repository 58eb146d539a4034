#include "models/units/text.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <span>

#include <fmt/format.h>

#include "models/units/error.hpp"

namespace moesim {
namespace {

struct Unit {
  std::string_view name;
  double scale;
};

constexpr double kKi = 1024, kMi = kKi * 1024, kGi = kMi * 1024, kTi = kGi * 1024;

// Written largest first: to_text takes the first unit in which the value is a short number.
constexpr std::array kBandwidthUnits{
    Unit{"TB/s", 1e12},     Unit{"GB/s", 1e9},     Unit{"MB/s", 1e6},     Unit{"kB/s", 1e3},     Unit{"B/s", 1},
    Unit{"Tb/s", 1e12 / 8}, Unit{"Gb/s", 1e9 / 8}, Unit{"Mb/s", 1e6 / 8}, Unit{"kb/s", 1e3 / 8}, Unit{"b/s", 1.0 / 8},
    Unit{"TiB/s", kTi},     Unit{"GiB/s", kGi},    Unit{"MiB/s", kMi},    Unit{"KiB/s", kKi}};
constexpr std::array kByteUnits{Unit{"TB", 1e12}, Unit{"GB", 1e9},  Unit{"MB", 1e6},  Unit{"kB", 1e3}, Unit{"B", 1},
                                Unit{"TiB", kTi}, Unit{"GiB", kGi}, Unit{"MiB", kMi}, Unit{"KiB", kKi}};
constexpr std::array kSecondUnits{Unit{"h", 3600},  Unit{"min", 60},  Unit{"s", 1},
                                  Unit{"ms", 1e-3}, Unit{"us", 1e-6}, Unit{"ns", 1e-9}};
constexpr std::array kFlopsUnits{Unit{"PFLOP/s", 1e15}, Unit{"TFLOP/s", 1e12}, Unit{"GFLOP/s", 1e9}, Unit{"FLOP/s", 1}};

std::string quoted(std::string_view text) {
  constexpr std::size_t kShown = 60;
  return text.size() <= kShown ? fmt::format("'{}'", text) : fmt::format("'{}...'", text.substr(0, kShown));
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

std::vector<std::string> names_of(std::span<const Unit> units) {
  std::vector<std::string> names;
  for (const Unit& unit : units) names.emplace_back(unit.name);
  return names;
}

/// `likely` is the unit shown when the unit is missing, `example` a whole value.
double parse(std::string_view text, std::string_view where, std::span<const Unit> units, std::string_view likely,
             std::string_view example) {
  const std::string_view body = trimmed(text);
  double number = 0;
  const auto [rest, status] = std::from_chars(body.data(), body.data() + body.size(), number);
  if (status != std::errc{} || !std::isfinite(number))
    throw InputError{std::string{where}, quoted(text), fmt::format("a number with its unit, as '{}'", example)};
  const std::string_view unit = trimmed({rest, static_cast<std::size_t>(body.data() + body.size() - rest)});
  if (unit.empty())
    throw InputError{std::string{where}, fmt::format("the bare number {}", body),
                     fmt::format("a unit, as '{} {}'", body, likely)};
  for (const Unit& known : units) {
    if (known.name != unit) continue;
    if (number < 0) throw InputError{std::string{where}, quoted(text), "a value that is not negative"};
    const double value = number * known.scale;
    if (!std::isfinite(value)) throw InputError{std::string{where}, quoted(text), "a finite value"};
    return value;
  }
  const std::vector<std::string> names = names_of(units);
  throw InputError{std::string{where}, fmt::format("unit '{}' in {}", unit, quoted(text)),
                   fmt::format("one of {}", fmt::join(names, ", ")), nearest(unit, names)};
}

/// The shortest text "N UNIT" over all units that reads back to exactly the same double; nothing is "0 s" or "0 B".
std::string shortest(double value, std::span<const Unit> units) {
  std::string best;
  for (const Unit& unit : units) {
    const double number = value / unit.scale;
    if (number * unit.scale != value || (value == 0 && unit.scale != 1)) continue;
    std::string text = fmt::format("{} {}", number, unit.name);
    if (best.empty() || text.size() < best.size()) best = std::move(text);
  }
  return best;
}

/// Four significant digits in the largest of `units` (descending) that the value reaches.
std::string handy(double value, std::span<const Unit> units) {
  for (const Unit& unit : units)
    if (value >= unit.scale) return fmt::format("{:.4g} {}", value / unit.scale, unit.name);
  return fmt::format("{:.4g} {}", value / units.back().scale, units.back().name);
}

}  // namespace

BytesPerSecond parse_bandwidth(std::string_view text, std::string_view where) {
  return BytesPerSecond{parse(text, where, kBandwidthUnits, "GB/s", "400 Gb/s")};
}
Bytes parse_bytes(std::string_view text, std::string_view where) {
  return Bytes{parse(text, where, kByteUnits, "GiB", "80 GiB")};
}
Seconds parse_seconds(std::string_view text, std::string_view where) {
  return Seconds{parse(text, where, kSecondUnits, "ms", "50 ms")};
}
FlopsPerSecond parse_flops_rate(std::string_view text, std::string_view where) {
  return FlopsPerSecond{parse(text, where, kFlopsUnits, "TFLOP/s", "989.5 TFLOP/s")};
}

std::string to_text(BytesPerSecond value) {
  return shortest(value.value(), kBandwidthUnits);
}
std::string to_text(Bytes value) {
  return shortest(value.value(), kByteUnits);
}
std::string to_text(Seconds value) {
  return shortest(value.value(), kSecondUnits);
}
std::string to_text(FlopsPerSecond value) {
  return shortest(value.value(), kFlopsUnits);
}

std::string human(BytesPerSecond value) {
  return handy(value.value(), std::span{kBandwidthUnits}.first(5));
}
std::string human(Bytes value) {
  constexpr std::array kBinary{Unit{"TiB", kTi}, Unit{"GiB", kGi}, Unit{"MiB", kMi}, Unit{"KiB", kKi}, Unit{"B", 1}};
  return handy(value.value(), kBinary);
}
std::string human(Seconds value) {
  return handy(value.value(), std::span{kSecondUnits}.subspan(2));
}

std::string with_commas(long long value) {
  std::string digits = fmt::format("{}", value < 0 ? -static_cast<unsigned long long>(value) : value);
  for (std::ptrdiff_t at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > 0; at -= 3)
    digits.insert(static_cast<std::size_t>(at), ",");
  return value < 0 ? "-" + digits : digits;
}

}  // namespace moesim
