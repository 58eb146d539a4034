#include "models/kernels/published/kernel_model_check.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include <fmt/format.h>

#include "models/kernels/published/fastest_time.hpp"
#include "models/units/error.hpp"

namespace moesim {
namespace {

/// Medians, steps of the scale and even rows made of uneven ones may lie that far below the fastest row.
constexpr double kOfFits = 0.9;
/// A time per token is the slope of a line through noisy times.
constexpr double kOfSlopes = 1.25;

std::string of_experts(double value, int experts) {
  return fmt::format("{:g} of {} experts", value, experts);
}

void check_slots(const KernelTable& table, const std::string& where) {
  for (const Curve& curve : table.curves)
    if (const auto found = wrong_slots(table.dimensions, curve.at[0]))
      throw InputError{where + ".curves, slots", *found, "a whole number from 1 to all of them"};
}

/// What a knot must take. Work grows with the size in a straight line and the bound is the larger of two, so that it
/// lies below the chord between a curve's ends: knots above that need no closer look, which hundreds of thousands have
/// no time for. Not of experts, of which more are active with more rows.
class LeastOfCurve {
public:
  LeastOfCurve(const FastestTime& fastest, const KernelTable& table, const Curve& curve)
      : fastest_{fastest}, curve_{curve}, has_chord_{!is_experts(table.operation)} {
    const double first = curve.size.front(), last = curve.size.back();
    at_first_ = fastest.microseconds(curve.at, first);
    slope_ = last > first ? (fastest.microseconds(curve.at, last) - at_first_) / (last - first) : 0;
  }
  bool surely_kept(std::size_t knot) const {
    const double chord = at_first_ + slope_ * (curve_.size[knot] - curve_.size.front());
    return has_chord_ && curve_.microseconds[knot] >= chord;
  }
  double microseconds(std::size_t knot) const {
    const double smallest = curve_.size[knot] - (curve_.tile - 1);  // of the sizes that the knot stands for
    return kOfFits * fastest_.microseconds(curve_.at, smallest);
  }

private:
  const FastestTime& fastest_;
  const Curve& curve_;
  bool has_chord_;
  double at_first_ = 0, slope_ = 0;
};

/// least_of: of a curve, a function that gives what a knot must take at least.
template <class LeastOf>
void check_knots(const KernelTable& table, const Gpu& gpu, const std::string& where, LeastOf&& least_of) {
  for (std::size_t c = 0; c < table.curves.size(); ++c) {
    const Curve& curve = table.curves[c];
    const auto least = least_of(curve);
    for (std::size_t i = 0; i < curve.size.size(); ++i)
      if (curve.microseconds[i] < least(i))
        throw InputError{
            fmt::format("{}.curves, curve {}", where, c),
            fmt::format("{:g} us at {} {:g}", curve.microseconds[i], layout_of(table.operation).size, curve.size[i]),
            at_least(least(i), gpu, table.operation, table.format)};
  }
}

void check_possible(const KernelTable& table, const Gpu& gpu, const std::string& where) {
  const FastestTime fastest{gpu, table};
  check_knots(table, gpu, where, [&](const Curve& curve) {
    return [least = LeastOfCurve{fastest, table, curve}](std::size_t i) {
      return least.surely_kept(i) ? 0 : least.microseconds(i);
    };
  });
}

void check_collective(const KernelTable& table, const Gpu& gpu, const std::string& where) {
  check_knots(table, gpu, where, [&](const Curve& curve) {
    return [&](std::size_t i) {
      return kOfFits * least_microseconds_of_collective(gpu, table.operation, table.dimensions.front(), curve.size[i]);
    };
  });
}

/// Against the whole time over the tokens, at the last knot of the curve where a token takes longest: that of most
/// slots, of which the time per token is but a part.
void check_per_token(const KernelTable& table, const std::string& where) {
  if (table.per_token <= Seconds{0}) return;
  double most = 0;
  for (const Curve& curve : table.curves) {
    const double of_a_row = std::max(1.0, table.dimensions[2] / curve.at[0]) / std::max(1, table.dimensions[3]);
    most = std::max(most, curve.microseconds.back() / (curve.size.back() * of_a_row));
  }
  const double given = table.per_token.value() * 1e6;
  if (given > kOfSlopes * most)
    throw InputError{where + ".per_token_us", fmt::format("{:g}", given),
                     fmt::format("at most {:.4g}, which a token takes in the whole block", most)};
}

}  // namespace

std::optional<std::string> too_many_chosen(KernelOperation operation, const std::vector<int>& dimensions) {
  const auto& names = layout_of(operation).dimensions;
  if (names.empty() || names.back() != "top_k") return std::nullopt;
  const int experts = dimensions[2], top_k = dimensions[3];
  if (experts == 0 || top_k <= experts) return std::nullopt;
  return of_experts(top_k, experts);
}

std::optional<std::string> wrong_slots(const std::vector<int>& dimensions, double slots) {
  const int experts = dimensions[2];
  if ((experts == 0 || slots <= experts) && slots >= 1 && slots == std::floor(slots)) return std::nullopt;
  return of_experts(slots, experts);
}

void check_table(const KernelTable& table, const Gpu& gpu, const std::string& where) {
  if (const auto found = too_many_chosen(table.operation, table.dimensions))
    throw InputError{where + ".dimensions.top_k", *found, "at most all of them"};
  if (is_collective(table.operation)) {
    if (table.dimensions.front() < 2)
      throw InputError{where + ".dimensions.ranks", std::to_string(table.dimensions.front()), "at least 2"};
    check_collective(table, gpu, where);
    return;
  }
  const auto& names = layout_of(table.operation).dimensions;
  for (std::size_t i = 0; i < names.size(); ++i)  // of a calibrated profile the model is not known
    if (table.dimensions[i] < 1 && names[i] != "experts" && names[i] != "top_k")
      throw InputError{fmt::format("{}.dimensions.{}", where, names[i]), std::to_string(table.dimensions[i]),
                       "at least 1"};
  if (is_experts(table.operation)) check_slots(table, where);
  check_possible(table, gpu, where);
  if (is_experts(table.operation)) check_per_token(table, where);
}

void check_each_once(const std::vector<KernelTable>& tables, const std::string& where) {
  std::map<TableKey, std::size_t> seen;
  for (std::size_t i = 0; i < tables.size(); ++i) {
    const KernelTable& table = tables[i];
    const auto [first, fresh] = seen.try_emplace({table.operation, table.kernel, table.format, table.dimensions}, i);
    if (!fresh)
      throw InputError{
          fmt::format("{}[{}]", where, i),
          fmt::format("{} of {} in {} again", name_of(table.operation), table.kernel, name_of(table.format)),
          fmt::format("another operation, kernel, format or other dimensions than in tables[{}]", first->second)};
  }
}

}  // namespace moesim
