#pragma once
// Ranks that work alone and meet at collectives: who arrives last, and what it was doing, decides the time.

#include <array>
#include <functional>
#include <span>
#include <vector>

#include "models/collectives/collectives.hpp"
#include "sim/engine/clock.hpp"
#include "sim/events/events.hpp"

namespace moesim {

using Sink = std::function<void(const Event&)>;

/// The time since the last meeting is charged to the rank that arrives last, split by the causes of its own work.
class Lockstep {
public:
  /// group : which of the groups of a run this is
  Lockstep(int ranks, int group, const Sink& sink);

  /// The actor whose time the group is about to share, and what it works on. To be called before anything that charges
  /// time.
  void share(Clock& clock, Turn turn = {}) {
    clock_ = &clock;
    turn_ = turn;
  }

  /// Nobody works: the group waits for what an earlier group has not sent yet.
  void idle(Seconds waited);

  /// Work of each rank. seconds [ranks]
  void work(Cause cause, std::span<const double> seconds);
  /// The same work on every rank.
  void work(Cause cause, Seconds each);

  /// Work that ran beside a collective that took `collective` and has just ended: what is left of it is still to be
  /// done.
  void work_beside(Cause cause, int layer, std::span<const double> seconds, Seconds collective);

  /// All ranks wait for the last one; its work since the last meeting becomes the critical path, its causes in the
  /// order in which they began. summed : as PhaseFinished::summed
  void meet(int layer, bool summed = false);

  /// A collective of all ranks, who meet first. link_bytes [links], empty when nothing crosses a link.
  void collective(Cause cause, int layer, const CollectiveTime& time, std::span<const double> link_bytes);

  /// Lets the simulated clock catch up with what was charged: once per layer, since every sleep costs wall time.
  void advance_clock();

  /// Simulated time including what the clock has not caught up with.
  Seconds now() const;
  int group() const { return group_; }
  Turn turn() const { return turn_; }
  void tell(const Event& event) const { sink_(event); }

private:
  std::vector<double>& work_of(Cause cause);

  Clock* clock_ = nullptr;
  Turn turn_;
  int group_;
  const Sink& sink_;
  std::array<std::vector<double>, kCauses> worked_;  ///< [cause][rank] seconds since the last meeting
  std::vector<Cause> order_;                         ///< causes with work since the last meeting, as they began
  std::vector<double> total_;                        ///< [rank]
  std::vector<double> left_;                         ///< [rank] of work beside a collective
  std::vector<Seconds> hidden_from_, hidden_to_;
  double pending_ = 0;  ///< seconds charged since advance_clock
};

}  // namespace moesim
