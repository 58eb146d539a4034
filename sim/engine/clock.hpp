#pragma once
// The simulated clock and its actors. SimGrid stays inside this folder's .cpp files.

#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "models/units/quantity.hpp"

namespace moesim {

/// What an actor sees of time.
class Clock {
public:
  virtual ~Clock() = default;
  virtual Seconds now() const = 0;
  /// Sleeps; other actors run meanwhile. Throws std::invalid_argument when `by` is negative or not a number.
  virtual void advance(Seconds by) = 0;
};

/// A place for one actor at a time; the others queue in the order in which they came.
class Station {
public:
  explicit Station(std::string name) : name_{std::move(name)} {}

  void enter();  ///< returns when it is this actor's turn, at once when the station is free
  void leave();  ///< Throws std::logic_error when nobody is inside.

private:
  std::string name_;
  bool is_taken_ = false;
  std::deque<std::size_t> queue_;  ///< actors of the run
};

struct Actor {
  std::string name;
  std::function<void(Clock&)> body;
};

/// Runs the actors on a SimGrid engine until all end. One call per process: SimGrid's clock outlives its Engine.
/// Returns the final date. An exception of a body ends the run and is rethrown.
/// Throws RunError on a second call, and naming who waits when the actors deadlock.
Seconds run_actors(std::vector<Actor> actors);

/// "3.32", for doctor and provenance.
std::string simgrid_version();

}  // namespace moesim
