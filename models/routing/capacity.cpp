#include "models/routing/capacity.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <vector>

#include <fmt/format.h>

namespace moesim {

std::string_view name_of(CapacityPolicy policy) {
  switch (policy) {
    case CapacityPolicy::none:
      return "none";
    case CapacityPolicy::drop_position:
      return "drop_position";
    case CapacityPolicy::drop_prob:
      return "drop_prob";
    case CapacityPolicy::backup:
      return "backup";
  }
  return "";
}

std::string_view name_of(CapacityScope scope) {
  return scope == CapacityScope::rank ? "rank" : "global";
}

std::int64_t places_per_expert(const CapacitySpec& spec, int top_k, int experts, std::int64_t tokens) {
  if (tokens < 0 || !std::isfinite(spec.factor) || spec.factor <= 0 || spec.least < 1 || experts < 1)
    throw std::invalid_argument{fmt::format("a capacity of factor {}, least {} for {} tokens on {} experts",
                                            spec.factor, spec.least, tokens, experts)};
  const double mean = static_cast<double>(tokens) * top_k * spec.factor / experts;
  // 1.1 * 2 * 40 / 8 is a little above 11 in binary: that is 11 places, not 12.
  const double whole = std::ceil(mean - 1e-9 * std::max(1.0, mean));
  return std::max<std::int64_t>(spec.least, static_cast<std::int64_t>(whole));
}

CapacityCount& CapacityCount::operator+=(const CapacityCount& other) {
  assignments += other.assignments;
  dropped += other.dropped;
  rerouted += other.rerouted;
  places += other.places;
  displaced_gate += other.displaced_gate;
  dropped_gate += other.dropped_gate;
  return *this;
}

namespace {

/// Fills the places of one scope, assignment after assignment.
class Places {
public:
  Places(const CapacitySpec& spec, int experts, int top_k, std::span<int> chosen, int width, const Preferences& ask)
      : spec_{spec},
        chosen_{chosen},
        width_{static_cast<std::size_t>(width)},
        ask_{ask},
        selection_(static_cast<std::size_t>(experts)),
        gate_(selection_.size()) {
    const auto tokens = static_cast<std::int64_t>(chosen.size() / width_);
    const std::int64_t each = places_per_expert(spec, top_k, experts, tokens);
    free_.assign(selection_.size(), each);
    count_.places = each * experts;
    for (const int expert : chosen) count_.assignments += expert >= 0;
  }

  void by_position() {
    for (std::size_t i = 0; i < chosen_.size(); ++i) settle(i);
  }

  /// Gates of all assignments first, then the highest takes its place first.
  void by_gate() {
    std::vector<double> gates(chosen_.size(), 0.0);
    for (std::size_t i = 0; i < chosen_.size(); ++i)
      if (chosen_[i] >= 0) {
        ask(i / width_);
        gates[i] = gate_[static_cast<std::size_t>(chosen_[i])];
      }
    std::vector<std::size_t> order(chosen_.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return gates[a] > gates[b]; });
    for (const std::size_t i : order) {
      if (chosen_[i] < 0 || take(chosen_[i])) continue;
      drop(i, gates[i]);
    }
  }

  const CapacityCount& count() const { return count_; }

private:
  bool take(int expert) {
    std::int64_t& left = free_[static_cast<std::size_t>(expert)];
    if (left == 0) return false;
    --left;
    return true;
  }

  void drop(std::size_t i, double gate) {
    chosen_[i] = -1;
    ++count_.dropped;
    count_.dropped_gate += gate;
  }

  void ask(std::size_t token) {
    if (asked_ == static_cast<std::ptrdiff_t>(token)) return;
    ask_(token, selection_, gate_);
    asked_ = static_cast<std::ptrdiff_t>(token);
    // What the token has chosen, or will, is no backup; what it has tried is not tried again.
    for (std::size_t i = token * width_; i < (token + 1) * width_; ++i)
      if (chosen_[i] >= 0) selection_[static_cast<std::size_t>(chosen_[i])] = kOut;
  }

  void settle(std::size_t i) {
    if (chosen_[i] < 0 || take(chosen_[i])) return;
    double first = 0;
    if (ask_) {
      ask(i / width_);
      first = gate_[static_cast<std::size_t>(chosen_[i])];
    }
    if (spec_.policy == CapacityPolicy::backup)
      for (int hop = 0; hop < spec_.max_hops; ++hop) {
        const auto best = std::max_element(selection_.begin(), selection_.end());
        if (*best == kOut) break;
        *best = kOut;
        const auto expert = static_cast<int>(best - selection_.begin());
        if (!take(expert)) continue;
        count_.displaced_gate += first - gate_[static_cast<std::size_t>(expert)];
        chosen_[i] = expert;
        ++count_.rerouted;
        return;
      }
    drop(i, first);
  }

  static constexpr double kOut = -std::numeric_limits<double>::infinity();
  const CapacitySpec& spec_;
  std::span<int> chosen_;
  std::size_t width_;
  const Preferences& ask_;
  std::vector<double> selection_, gate_;  // of the token asked last
  std::ptrdiff_t asked_ = -1;
  std::vector<std::int64_t> free_;  // [experts]
  CapacityCount count_;
};

}  // namespace

CapacityCount apply_capacity(const CapacitySpec& spec, int experts, int top_k, std::span<int> chosen, int width,
                             const Preferences& preferences) {
  if (width < 1 || chosen.size() % static_cast<std::size_t>(width) != 0)
    throw std::invalid_argument{fmt::format("{} choices of {} per token", chosen.size(), width)};
  for (const int expert : chosen)
    if (expert < -1 || expert >= experts)
      throw std::invalid_argument{fmt::format("a choice of expert {} of {}", expert, experts)};
  if (spec.policy == CapacityPolicy::none) {
    CapacityCount count;
    for (const int expert : chosen) count.assignments += expert >= 0;
    count.places = count.assignments;
    return count;
  }
  if (!preferences && spec.policy != CapacityPolicy::drop_position)
    throw std::invalid_argument{fmt::format("capacity policy {} without router scores", name_of(spec.policy))};
  Places places{spec, experts, top_k, chosen, width, preferences};
  if (spec.policy == CapacityPolicy::drop_prob)
    places.by_gate();
  else
    places.by_position();
  return places.count();
}

}  // namespace moesim
