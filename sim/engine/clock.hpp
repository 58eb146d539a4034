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
  /// Sleeps; other actors run meanwhile. Throws std::invalid_argument when `by` is negative or not a number.
  virtual void advance(Seconds by) = 0;
};

/// A door that actors wait at until one of them opens it, once and for all.
class Gate {
public:
  explicit Gate(std::string name) : name_{std::move(name)} {}

  void wait();  ///< returns at the date of open(), at once when it is open already
  void open();
  const std::string& name() const { return name_; }

private:
  std::string name_;
  bool is_open_ = false;
  std::vector<int> waiting_;  ///< actors of the run, by index
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
