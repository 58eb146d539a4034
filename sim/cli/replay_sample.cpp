#include "sim/cli/replay_sample.hpp"

#include <algorithm>
#include <numeric>

#include <fmt/format.h>

#include "sim/metrics/recorder.hpp"

namespace moesim {
namespace {

/// Fours: from bound by weights to bound by arithmetic in as many steps.
std::string rows_class(double mean) {
  int least = 0, next = 1;
  while (mean >= next) {
    least = next;
    next *= 4;
  }
  return least == 0 ? "under 1 row" : fmt::format("{} to {} rows", least, next);
}

}  // namespace

std::string class_of(std::span<const std::int32_t> rows) {
  constexpr double kEven = 1.5, kUneven = 3;
  const double total = std::accumulate(rows.begin(), rows.end(), 0.0);
  const double mean = total / static_cast<double>(rows.size());
  const double peak = *std::max_element(rows.begin(), rows.end()) / mean;
  return fmt::format("{}, {}", rows_class(mean), peak < kEven ? "even" : peak < kUneven ? "uneven" : "skewed");
}

ReplaySample::ReplaySample(std::uint64_t seed, std::size_t most)
    : random_{seed, Purpose::bootstrap, 0, 0}, most_{most} {}

ListenerMaker ReplaySample::listener() {
  return [this](const RunShape& shape) -> Listener {
    const auto slots = static_cast<std::size_t>(shape.placement.slots_per_rank);
    return [this, slots](const Event& event) {
      if (std::holds_alternative<StepFinished>(event)) ++step_;
      const auto* loads = std::get_if<ExpertsLoaded>(&event);
      if (loads == nullptr) return;
      for (std::size_t first = 0; first + slots <= loads->rows_per_slot.size(); first += slots) {
        const auto rows = loads->rows_per_slot.subspan(first, slots);
        if (std::all_of(rows.begin(), rows.end(), [](std::int32_t count) { return count == 0; })) continue;
        add({step_, loads->layer, static_cast<int>(first / slots), {rows.begin(), rows.end()}});
      }
    };
  };
}

void ReplaySample::add(RankHistogram histogram) {
  Class& of = classes_[class_of(histogram.rows)];
  ++of.seen;
  if (of.kept.size() < most_) {
    of.kept.push_back(std::move(histogram));
    return;
  }
  const auto place = static_cast<std::size_t>(random_.uniform() * static_cast<double>(of.seen));
  if (place < most_) of.kept[place] = std::move(histogram);
}

std::vector<RankHistogram> ReplaySample::by_priority() const {
  std::vector<const Class*> order;
  for (const auto& [name, of] : classes_) order.push_back(&of);
  std::stable_sort(order.begin(), order.end(), [](const Class* a, const Class* b) { return a->seen > b->seen; });
  std::vector<RankHistogram> result;
  for (std::size_t turn = 0; turn < most_; ++turn)
    for (const Class* of : order)
      if (turn < of->kept.size()) result.push_back(of->kept[turn]);
  return result;
}

std::int64_t ReplaySample::seen(const std::string& name) const {
  const auto found = classes_.find(name);
  return found == classes_.end() ? 0 : found->second.seen;
}

std::int64_t ReplaySample::seen() const {
  return std::accumulate(classes_.begin(), classes_.end(), std::int64_t{0},
                         [](std::int64_t sum, const auto& entry) { return sum + entry.second.seen; });
}

}  // namespace moesim
