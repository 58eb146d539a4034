#include "sim/engine/clock.hpp"
#include "tests/catch_compat.hpp"

using namespace moesim;

TEST_CASE("A pipeline of p equal stages takes (m + p - 1) t for m microbatches, a bubble of (p - 1)/(m + p - 1)",
          "[engine]") {
  // Oracle L23, p 4, m 12, t 10 ms: 15 x 10 ms = 150 ms; each stage works 120 ms and idles 3/15 of the time.
  constexpr int stages = 4, microbatches = 12;
  const Seconds each{0.010};
  std::vector<Seconds> worked(stages);
  std::vector<Actor> actors;
  for (int stage = 0; stage < stages; ++stage)
    actors.push_back({"stage " + std::to_string(stage), [&, stage](Clock& clock) {
                        for (int before = 0; before < stage; ++before) clock.advance(each);  // the fill
                        const Seconds start = clock.now();
                        for (int batch = 0; batch < microbatches; ++batch) clock.advance(each);
                        worked[static_cast<std::size_t>(stage)] = clock.now() - start;
                      }});
  const Seconds end = run_actors(std::move(actors));
  CHECK(end.value() == Approx(0.150).epsilon(1e-9));
  for (const Seconds busy : worked) CHECK(1 - busy / end == Approx(3.0 / 15).epsilon(1e-9));
}
