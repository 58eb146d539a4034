#include "sim/serving/overlap_timeline.hpp"

#include <algorithm>
#include <stdexcept>

#include <fmt/format.h>

namespace moesim {

OverlapTimeline::OverlapTimeline(int ranks, double compute_rate, OverlapListener* listener)
    : compute_rate_{compute_rate}, listener_{listener}, ready_(static_cast<std::size_t>(ranks)) {
  if (!(compute_rate > 0 && compute_rate <= 1))
    throw std::invalid_argument{fmt::format("a compute rate of {}, expected above 0 and at most 1", compute_rate)};
  for (auto& seconds : spent_) seconds.assign(ready_.size(), 0.0);
}

/// When work that takes `alone` by itself ends: slower inside the intervals of collectives, which do not overlap.
Seconds OverlapTimeline::end_of(Seconds begin, Seconds alone) const {
  Seconds now = begin, left = alone;
  for (const Collective& collective : in_flight_) {
    if (collective.end <= now) continue;
    const Seconds before = std::max(Seconds{}, collective.begin - now);
    if (left <= before) return now + left;
    left -= before;
    now += before;
    const Seconds beside = collective.end - now;
    if (left <= compute_rate_ * beside) return now + left / compute_rate_;
    left -= compute_rate_ * beside;
    now = collective.end;
  }
  return now + left;
}

void OverlapTimeline::compute(int batch, Cause cause, std::span<const double> seconds) {
  before_ = ready_;
  auto& spent = spent_[static_cast<std::size_t>(cause)];
  for (std::size_t r = 0; r < ready_.size(); ++r) {
    const Seconds end = end_of(ready_[r], Seconds{seconds[r]});
    spent[r] += (end - ready_[r]).value();
    ready_[r] = end;
  }
  if (listener_) listener_->worked(batch, cause, before_, ready_);
}

void OverlapTimeline::start(int batch, Cause cause, Seconds duration) {
  // What ended before every rank's present slows nobody any more.
  const Seconds earliest = *std::min_element(ready_.begin(), ready_.end());
  std::erase_if(in_flight_, [&](const Collective& collective) { return collective.end <= earliest; });
  const Seconds begin = std::max(network_free_, *std::max_element(ready_.begin(), ready_.end()));
  network_free_ = begin + duration;
  last_of_[static_cast<std::size_t>(batch)] = {begin, network_free_, cause};
  in_flight_.push_back(last_of_[static_cast<std::size_t>(batch)]);
  if (listener_) listener_->started(batch, cause, begin, network_free_);
}

void OverlapTimeline::wait(int batch) {
  const Collective& collective = last_of_[static_cast<std::size_t>(batch)];
  before_ = ready_;
  auto& spent = spent_[static_cast<std::size_t>(collective.cause)];
  for (std::size_t r = 0; r < ready_.size(); ++r) {
    spent[r] += std::max(0.0, (collective.end - ready_[r]).value());
    ready_[r] = std::max(ready_[r], collective.end);
  }
  if (listener_) listener_->waited(batch, collective.cause, before_, ready_);
}

void OverlapTimeline::meet() {
  std::fill(ready_.begin(), ready_.end(), *std::max_element(ready_.begin(), ready_.end()));
}

void OverlapTimeline::clear() {
  for (auto& seconds : spent_) std::fill(seconds.begin(), seconds.end(), 0.0);
}

}  // namespace moesim
