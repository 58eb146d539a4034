#include "sim/engine/clock.hpp"

#include <algorithm>
#include <exception>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include "models/units/error.hpp"
#include "sim/engine/simgrid_compat.hpp"

namespace moesim {
namespace {

using namespace simgrid_compat;

/// SimGrid's timing precision: dates closer than this are one, and no sleep is shorter.
constexpr Seconds kPrecision{1e-9};

/// The actor's own view of time: the sum of its steps, which SimGrid's clock follows to within the precision. SimGrid
/// alone would stretch every step below its precision.
class ActorClock : public Clock {
public:
  Seconds now() const override {
    const Seconds engine{sg4::Engine::get_clock()};
    return engine > date_ + kPrecision ? engine : date_;  // later when the actor waited at a station
  }

  void advance(Seconds by) override {
    if (!(by >= Seconds{})) throw std::invalid_argument{fmt::format("a clock advanced by {} s", by.value())};
    date_ = now() + by;
    const Seconds ahead = date_ - Seconds{sg4::Engine::get_clock()};
    if (ahead >= kPrecision) sg4::this_actor::sleep_for(ahead.value());
  }

private:
  Seconds date_;
};

/// The one simulation of this process: who runs, who waits, and what went wrong.
class Run {
public:
  explicit Run(std::vector<Actor> actors) : actors_{std::move(actors)}, state_(actors_.size()) {}

  Seconds execute() {
    EngineWithFlags engine{neutral_flags(kPrecision)};
    sg4::NetZone* zone = add_full_zone(engine);
    sg4::Host* host = add_host(zone, "clock");
    zone->seal();
    awake_ = static_cast<int>(actors_.size());
    for (std::size_t i = 0; i < actors_.size(); ++i)
      state_[i].handle = add_actor(engine, actors_[i].name, host, [this, i] { run_body(i); });
    engine->run();
    for (ActorState& state : state_) state.handle = nullptr;  // they must not outlive the engine
    if (failure_) std::rethrow_exception(failure_);
    return end_;
  }

  /// Blocks the calling actor until wake().
  void sleep_at(const std::string& station) {
    state_[current_index()].waits_for = station;
    --awake_;
    fail_when_nobody_is_awake();
    if (failure_) sg4::this_actor::exit();
    sg4::this_actor::suspend();
  }
  void wake(std::size_t actor) {
    state_[actor].waits_for.clear();
    ++awake_;
    state_[actor].handle->resume();
  }

  std::size_t current_index() const {
    const auto* self = sg4::Actor::self();
    for (std::size_t i = 0; i < state_.size(); ++i)
      if (state_[i].handle.get() == self) return i;
    throw RunError{"a station was used outside run_actors"};
  }

private:
  struct ActorState {
    sg4::ActorPtr handle;
    std::string waits_for;
    bool ended = false;
  };

  void run_body(std::size_t index) {
    try {
      ActorClock clock;
      actors_[index].body(clock);
      end_ = std::max(end_, clock.now());
      state_[index].ended = true;
      --awake_;
      fail_when_nobody_is_awake();
    } catch (const simgrid::ForcefulKillException&) {
      throw;  // another actor failed: SimGrid unwinds this one
    } catch (...) {
      fail(std::current_exception());
    }
  }

  /// Stations are the only thing to wait for besides time, so nobody awake means that nobody will ever be.
  void fail_when_nobody_is_awake() {
    if (awake_ > 0) return;
    std::string waiting;
    for (std::size_t i = 0; i < state_.size(); ++i)
      if (!state_[i].ended)
        waiting += fmt::format("{}{} waits for {}", waiting.empty() ? "" : ", ", actors_[i].name, state_[i].waits_for);
    if (waiting.empty()) return;
    fail(std::make_exception_ptr(RunError{fmt::format("deadlock at {:.9g} s: {}", sg4::Engine::get_clock(), waiting)}));
  }

  void fail(std::exception_ptr why) {
    if (!failure_) failure_ = std::move(why);
    sg4::Actor::kill_all();
  }

  std::vector<Actor> actors_;
  std::vector<ActorState> state_;
  int awake_ = 0;
  Seconds end_;
  std::exception_ptr failure_;
};

Run* running = nullptr;

}  // namespace

void Station::enter() {
  if (!running) throw RunError{fmt::format("station {} was used outside run_actors", name_)};
  if (!is_taken_) {
    is_taken_ = true;
    return;
  }
  queue_.push_back(running->current_index());
  running->sleep_at(name_);  // whoever leaves hands the station over
}

void Station::leave() {
  if (!is_taken_) throw std::logic_error{fmt::format("nobody is in station {}", name_)};
  if (queue_.empty()) {
    is_taken_ = false;
    return;
  }
  const std::size_t next = queue_.front();
  queue_.pop_front();
  running->wake(next);
}

Seconds run_actors(std::vector<Actor> actors) {
  static bool was_called = false;
  if (std::exchange(was_called, true))
    throw RunError{"a second simulation in one process: SimGrid's clock outlives its engine, so fork first"};
  if (actors.empty()) return {};
  Run run{std::move(actors)};
  running = &run;
  struct Leave {
    ~Leave() { running = nullptr; }
  } leave;
  return run.execute();
}

std::string simgrid_version() {
  int major = 0, minor = 0, patch = 0;
  sg_version_get(&major, &minor, &patch);
  return patch == 0 ? fmt::format("{}.{}", major, minor) : fmt::format("{}.{}.{}", major, minor, patch);
}

}  // namespace moesim
