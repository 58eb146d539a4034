#include "sim/engine/clock.hpp"

#include <csignal>
#include <cstdlib>
#include <limits>
#include <stdexcept>

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "models/units/error.hpp"
#include "sim/engine/forked.hpp"
#include "tests/catch_compat.hpp"

using namespace moesim;

// SimGrid simulates once per process, and the test runner gives every TEST_CASE its own. Where a case needs several
// runs, or sections, each run is forked.

TEST_CASE("Actors run side by side and the run ends with the last", "[engine]") {
  std::vector<double> dates;
  const Seconds end = run_actors({{"slow",
                                   [&](Clock& clock) {
                                     clock.advance(3.0_s);
                                     dates.push_back(clock.now().value());
                                   }},
                                  {"fast", [&](Clock& clock) {
                                     clock.advance(1.0_s);
                                     dates.push_back(clock.now().value());
                                     clock.advance(1.0_s);
                                     dates.push_back(clock.now().value());
                                   }}});
  REQUIRE(end == 3.0_s);
  REQUIRE(dates == std::vector<double>{1, 2, 3});
}

TEST_CASE("A hundred thousand short steps add up to their sum", "[engine]") {
  // 1e5 steps of 1/3 us and, between them, of 0.25 ns, which is below SimGrid's own resolution of 1 ns.
  const Seconds end = run_actors({{"steps", [](Clock& clock) {
                                     for (int i = 0; i < 100000; ++i) {
                                       clock.advance(Seconds{1e-6 / 3});
                                       clock.advance(Seconds{0.25e-9});
                                     }
                                   }}});
  REQUIRE(end.value() == Approx(1e5 * (1e-6 / 3 + 0.25e-9)).epsilon(1e-10));
}

TEST_CASE("A clock that is told to go back refuses", "[engine]") {
  REQUIRE_THROWS_WITH(run_actors({{"back", [](Clock& clock) { clock.advance(Seconds{-1}); }}}),
                      "a clock advanced by -1 s");
}

TEST_CASE("A step that is not a number is refused", "[engine]") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  REQUIRE_THROWS_WITH(run_actors({{"nan", [&](Clock& clock) { clock.advance(Seconds{nan}); }}}),
                      "a clock advanced by nan s");
}

TEST_CASE("An exception of one actor ends the run, unwinds the others and reaches the caller", "[engine]") {
  struct Unwound {
    bool& flag;
    ~Unwound() { flag = true; }
  };
  bool unwound = false, overslept = false;
  REQUIRE_THROWS_WITH(run_actors({{"fails",
                                   [](Clock& clock) {
                                     clock.advance(1.0_s);
                                     throw InputError{"a", "b", "c"};
                                   }},
                                  {"sleeps",
                                   [&](Clock& clock) {
                                     const Unwound mark{unwound};
                                     clock.advance(10.0_s);
                                     overslept = true;
                                   }}}),
                      "a: got b, expected c");
  REQUIRE(unwound);
  REQUIRE_FALSE(overslept);
}

TEST_CASE("A station takes one actor at a time in the order of arrival", "[engine]") {
  Station station{"GPUs"};
  std::vector<std::pair<char, double>> entered;
  const auto visitor = [&](char name, Seconds arrives, Seconds stays) {
    return Actor{std::string{name}, [&, name, arrives, stays](Clock& clock) {
                   clock.advance(arrives);
                   station.enter();
                   entered.emplace_back(name, clock.now().value());
                   clock.advance(stays);
                   station.leave();
                 }};
  };
  // a: 0 to 4; b (at 2) waits until 4 and stays until 5; c (at 1) came before b: 4 to 10, so b is in from 10 to 11.
  const Seconds end = run_actors({visitor('a', 0.0_s, 4.0_s), visitor('b', 2.0_s, 1.0_s), visitor('c', 1.0_s, 6.0_s),
                                  visitor('d', 20.0_s, 2.0_s)});
  REQUIRE(entered == std::vector<std::pair<char, double>>{{'a', 0}, {'c', 4}, {'b', 10}, {'d', 20}});
  REQUIRE(end == 22.0_s);
}

TEST_CASE("A deadlock names who waits for what", "[engine]") {
  Station left{"the left fork"}, right{"the right fork"};
  const auto philosopher = [](Station& first, Station& second) {
    return [&](Clock& clock) {
      first.enter();
      clock.advance(1.5_s);
      second.enter();
    };
  };
  REQUIRE_THROWS_WITH(run_actors({{"one", philosopher(left, right)},
                                  {"done", [](Clock& clock) { clock.advance(0.5_s); }},
                                  {"other", philosopher(right, left)}}),
                      "deadlock at 1.5 s: one waits for the right fork, other waits for the left fork");
}

TEST_CASE("An actor that ends inside a station leaves the others in a deadlock", "[engine]") {
  Station station{"the GPUs"};
  const auto stays = [&](Clock& clock) {
    station.enter();
    clock.advance(2.0_s);
  };
  REQUIRE_THROWS_WITH(run_actors({{"first", stays}, {"second", stays}}), "deadlock at 2 s: second waits for the GPUs");
}

TEST_CASE("A second simulation in one process is refused", "[engine]") {
  REQUIRE(run_actors({{"first", [](Clock& clock) { clock.advance(1.0_s); }}}) == 1.0_s);
  REQUIRE_THROWS_WITH(run_actors({}),
                      "a second simulation in one process: SimGrid's clock outlives its engine, so fork first");
}

TEST_CASE("A station outside a simulation or without anyone inside is refused", "[engine]") {
  Station station{"door"};
  REQUIRE_THROWS_WITH(station.enter(), "station door was used outside run_actors");
  REQUIRE_THROWS_WITH(station.leave(), "nobody is in station door");
}

TEST_CASE("Forked work ends with the process that waits for it, however that ends", "[engine]") {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const pid_t waiting = ::fork();
  if (waiting == 0) {
    run_forked("endless work", [&] {
      REQUIRE(::write(ends[1], "w", 1) == 1);
      ::alarm(30);  // should it outlive the test after all
      for (;;) ::pause();
      return std::vector<double>{};
    });
    ::_exit(0);
  }
  ::close(ends[1]);
  char began = 0;
  REQUIRE(::read(ends[0], &began, 1) == 1);
  REQUIRE(::kill(waiting, SIGKILL) == 0);
  REQUIRE(::waitpid(waiting, nullptr, 0) == waiting);
  pollfd pipe{ends[0], 0, 0};  // hung up when the last process that could write has ended
  CHECK(::poll(&pipe, 1, 10'000) == 1);
  ::close(ends[0]);
}

TEST_CASE("The clock is bit-identical across forked runs (L38)", "[engine]") {
  const auto simulate = [] {
    std::vector<double> dates;
    const auto body = [&](double step) {
      return [&, step](Clock& clock) {
        for (int i = 0; i < 1000; ++i) {
          clock.advance(Seconds{step * (1 + i % 7)});
          dates.push_back(clock.now().value());
        }
      };
    };
    const Seconds end = run_actors({{"a", body(1e-6 / 3)}, {"b", body(1e-6 / 7)}, {"c", body(3e-7)}});
    dates.push_back(end.value());
    return dates;
  };
  const auto first = run_forked("clock", simulate), second = run_forked("clock", simulate);
  REQUIRE(first.size() == 3001);
  REQUIRE(first == second);
}

TEST_CASE("Forked work that fails says how", "[engine]") {
  REQUIRE(run_forked("sum", [] { return std::vector<double>{1.5, 2.5}; }) == std::vector<double>{1.5, 2.5});
  REQUIRE_THROWS_WITH(run_forked("work", []() -> std::vector<double> { throw std::runtime_error{"no luck"}; }),
                      "work: no luck");
  REQUIRE_THROWS_WITH(run_forked("work", []() -> std::vector<double> { std::_Exit(3); }),
                      "work: ended without an answer");
  REQUIRE_THROWS_WITH(run_forked("work",
                                 []() -> std::vector<double> {
                                   std::raise(SIGKILL);
                                   return {};
                                 }),
                      "work: died of signal 9");
}

TEST_CASE("The library in use says its version", "[engine]") {
  REQUIRE(simgrid_version().find('.') != std::string::npos);
  REQUIRE(std::stod(simgrid_version()) >= 3.32);
}
