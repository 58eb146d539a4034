#include "sim/engine/clock.hpp"

#include <csignal>
#include <cstdlib>
#include <limits>
#include <stdexcept>

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

TEST_CASE("A gate lets its waiters on at the date it opens", "[engine]") {
  Gate gate{"prefill done"};
  double resumed = -1, later = -1;
  const Seconds end = run_actors({{"decode",
                                   [&](Clock& clock) {
                                     gate.wait();
                                     resumed = clock.now().value();
                                     clock.advance(1.0_s);
                                   }},
                                  {"prefill",
                                   [&](Clock& clock) {
                                     clock.advance(2.0_s);
                                     gate.open();
                                   }},
                                  {"late", [&](Clock& clock) {
                                     clock.advance(5.0_s);
                                     gate.wait();  // open already
                                     later = clock.now().value();
                                   }}});
  REQUIRE(resumed == 2);
  REQUIRE(later == 5);
  REQUIRE(end == 5.0_s);
}

TEST_CASE("A deadlock names who waits for what", "[engine]") {
  Gate never{"the KV cache"}, neither{"the first token"};
  REQUIRE_THROWS_WITH(run_actors({{"decode", [&](Clock&) { never.wait(); }},
                                  {"done", [](Clock& clock) { clock.advance(0.5_s); }},
                                  {"client",
                                   [&](Clock& clock) {
                                     clock.advance(1.5_s);
                                     neither.wait();
                                   }}}),
                      "deadlock at 1.5 s: decode waits for the KV cache, client waits for the first token");
}

TEST_CASE("An actor that ends while another waits is a deadlock too", "[engine]") {
  Gate never{"nobody"};
  REQUIRE_THROWS_WITH(
      run_actors({{"waits", [&](Clock&) { never.wait(); }}, {"ends", [](Clock& clock) { clock.advance(2.0_s); }}}),
      "deadlock at 2 s: waits waits for nobody");
}

TEST_CASE("A second simulation in one process is refused", "[engine]") {
  REQUIRE(run_actors({{"first", [](Clock& clock) { clock.advance(1.0_s); }}}) == 1.0_s);
  REQUIRE_THROWS_WITH(run_actors({}),
                      "a second simulation in one process: SimGrid's clock outlives its engine, so fork first");
}

TEST_CASE("A gate outside a simulation is refused", "[engine]") {
  Gate gate{"door"};
  REQUIRE_THROWS_WITH(gate.wait(), "gate door was used outside run_actors");
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
