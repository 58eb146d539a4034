#pragma once
// The simulated clock and its actors. SimGrid stays inside this folder's .cpp files.

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
  virtual void advance(Seconds by) = 0;  ///< sleep; other actors run meanwhile
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
