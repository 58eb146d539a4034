#include "sim/serving/lockstep.hpp"

#include <algorithm>

namespace moesim {

Lockstep::Lockstep(int ranks, int group, const Sink& sink) : group_{group}, sink_{sink} {
  for (auto& seconds : worked_) seconds.assign(static_cast<std::size_t>(ranks), 0.0);
  total_.assign(static_cast<std::size_t>(ranks), 0.0);
}

Seconds Lockstep::now() const {
  return clock_->now() + Seconds{pending_};
}

std::vector<double>& Lockstep::work_of(Cause cause) {
  if (std::find(order_.begin(), order_.end(), cause) == order_.end()) order_.push_back(cause);
  return worked_[static_cast<std::size_t>(cause)];
}

void Lockstep::work(Cause cause, std::span<const double> seconds) {
  auto& worked = work_of(cause);
  for (std::size_t r = 0; r < total_.size(); ++r) {
    worked[r] += seconds[r];
    total_[r] += seconds[r];
  }
}

void Lockstep::work(Cause cause, Seconds each) {
  if (each.value() == 0) return;
  auto& worked = work_of(cause);
  for (std::size_t r = 0; r < total_.size(); ++r) {
    worked[r] += each.value();
    total_[r] += each.value();
  }
}

void Lockstep::work_beside(Cause cause, int layer, std::span<const double> seconds, Seconds collective) {
  left_.resize(seconds.size());
  hidden_from_.assign(seconds.size(), Seconds{});
  hidden_to_.resize(seconds.size());
  bool any = false;
  for (std::size_t r = 0; r < seconds.size(); ++r) {
    left_[r] = std::max(0.0, seconds[r] - collective.value());
    hidden_to_[r] = std::min(Seconds{seconds[r]}, collective);
    any = any || left_[r] > 0;
  }
  tell(StreamWorked{StreamWorked::Kind::hidden, cause, layer, now() - collective, hidden_from_, hidden_to_, group_,
                    turn_});
  if (any) work(cause, left_);
}

void Lockstep::meet(int layer, bool summed) {
  const auto last = static_cast<std::size_t>(std::max_element(total_.begin(), total_.end()) - total_.begin());
  for (const Cause cause : order_) {
    auto& worked = worked_[static_cast<std::size_t>(cause)];
    pending_ += worked[last];
    tell(PhaseFinished{now(), Seconds{worked[last]}, cause, layer, static_cast<int>(last), worked, group_, turn_,
                       cause == order_.back(), summed});
    std::fill(worked.begin(), worked.end(), 0.0);
  }
  order_.clear();
  std::fill(total_.begin(), total_.end(), 0.0);
}

void Lockstep::collective(Cause cause, int layer, const CollectiveTime& time, std::span<const double> link_bytes) {
  meet(layer);
  pending_ += time.time.value();
  if (!link_bytes.empty())
    tell(BytesMoved{now(), cause, layer, time.time, link_bytes, time.busiest, time.time - time.latency, group_,
                    Pace::together, turn_});
  tell(PhaseFinished{now(), time.time, cause, layer, -1, {}, group_, turn_});
}

void Lockstep::idle(Seconds waited) {
  if (waited > Seconds{}) tell(PhaseFinished{now(), waited, Cause::pipeline, -1, -1, {}, group_, turn_});
}

void Lockstep::advance_clock() {
  if (pending_ == 0) return;
  clock_->advance(Seconds{pending_});
  pending_ = 0;
}

}  // namespace moesim
