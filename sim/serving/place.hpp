#pragma once
// GPUs that one microbatch at a time works on: a pipeline stage, or the pool of attention or of experts.

#include <string>

#include "sim/engine/clock.hpp"
#include "sim/serving/lockstep.hpp"

namespace moesim {

class Place {
public:
  /// is_shared : several microbatches take turns, and the time between them is told as idle
  Place(const std::string& name, int ranks, int group, bool is_shared, const Sink& sink);
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

  /// Waits for its turn. Of a negative step the sink hears nothing until leave().
  void enter(Clock& clock, Turn turn);
  void leave(const Clock& clock);

  Lockstep& group() { return group_; }

private:
  bool is_shared_, is_told_ = false;
  Sink told_;
  Station station_;
  Lockstep group_;
  Seconds free_since_;
};

}  // namespace moesim
