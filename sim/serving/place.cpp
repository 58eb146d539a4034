#include "sim/serving/place.hpp"

namespace moesim {

Place::Place(const std::string& name, int ranks, int group, bool is_shared, const Sink& sink)
    : is_shared_{is_shared},
      told_{[this, &sink](const Event& event) {
        if (is_told_) sink(event);
      }},
      station_{name},
      group_{ranks, group, is_shared ? told_ : sink} {}

void Place::enter(Clock& clock, Turn turn) {
  station_.enter();
  is_told_ = turn.step >= 0;
  group_.share(clock, turn);
  if (is_shared_) group_.idle(clock.now() - free_since_);
}

void Place::leave(const Clock& clock) {
  free_since_ = clock.now();
  station_.leave();
}

}  // namespace moesim
