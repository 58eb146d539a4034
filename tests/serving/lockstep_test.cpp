#include "sim/serving/lockstep.hpp"

#include <vector>

#include "tests/catch_compat.hpp"

using namespace moesim;

namespace {

/// A clock without an engine: what the group asks of time, in a number.
class HandClock : public Clock {
public:
  Seconds now() const override { return now_; }
  void advance(Seconds by) override {
    now_ += by;
    ++sleeps;
  }
  int sleeps = 0;

private:
  Seconds now_;
};

struct Heard {
  Cause cause;
  double took;
  int rank;
};

}  // namespace

TEST_CASE("The rank that arrives last decides, and its own work is what is charged", "[serving]") {
  HandClock clock;
  std::vector<Heard> heard;
  const Sink sink = [&](const Event& event) {
    if (const auto* phase = std::get_if<PhaseFinished>(&event))
      heard.push_back({phase->cause, phase->took.value(), phase->gating_rank});
  };
  Lockstep group{3, 0, sink};
  group.share(clock);
  // rank 0: 1 + 5 = 6, rank 1: 4 + 1 = 5, rank 2: 2 + 2 = 4. Rank 0 is last, although rank 1 attended longest.
  group.work(Cause::attention, std::vector<double>{1, 4, 2});
  group.work(Cause::experts, std::vector<double>{5, 1, 2});
  group.meet(0);
  group.advance_clock();
  REQUIRE(heard.size() == 2);
  CHECK(heard[0].took == 1);
  CHECK(heard[1].took == 5);
  CHECK(heard[0].rank == 0);
  CHECK(clock.now().value() == 6);
}

TEST_CASE("A collective starts when the last rank is there and ends for all", "[serving]") {
  HandClock clock;
  double collective = 0;
  const Sink sink = [&](const Event& event) {
    if (const auto* phase = std::get_if<PhaseFinished>(&event))
      if (phase->busy.empty()) collective += phase->took.value();
  };
  Lockstep group{2, 0, sink};
  group.share(clock);
  group.work(Cause::attention, std::vector<double>{1, 3});
  group.collective(Cause::dispatch, 0, {Seconds{2}, Seconds{0}, -1}, {});
  group.work(Cause::experts, Seconds{4});
  group.meet(0);
  CHECK(group.now().value() == 9);  // 3 + 2 + 4
  CHECK(clock.sleeps == 0);
  group.advance_clock();
  CHECK(clock.sleeps == 1);
  CHECK(clock.now().value() == 9);
  CHECK(collective == 2);
}

TEST_CASE("A straggler stretches the step by its own factor, or by its share of it (L8)", "[serving]") {
  const double slow = 1.7, experts = 0.4;  // share of the experts in a step of one second
  for (const bool everything : {true, false}) {
    HandClock clock;
    const Sink sink = [](const Event&) {};
    Lockstep group{4, 0, sink};
    group.share(clock);
    for (int layer = 0; layer < 10; ++layer) {
      std::vector<double> attention(4, (1 - experts) / 10), rows(4, experts / 10);
      if (everything) attention[2] *= slow;
      rows[2] *= slow;
      group.work(Cause::attention, attention);
      group.meet(layer);
      group.work(Cause::experts, rows);
      group.meet(layer);
    }
    CHECK(group.now().value() == Approx(everything ? slow : 1 + experts * (slow - 1)).epsilon(1e-9));
  }
}

TEST_CASE("Ranks that never meet in between add up their own times", "[serving]") {
  HandClock clock;
  const Sink sink = [](const Event&) {};
  Lockstep group{2, 0, sink};
  group.share(clock);
  // Two dense layers without a barrier: max of the sums (3 + 1, 1 + 4) = 5, not the sum of the maxima 7.
  group.work(Cause::dense, std::vector<double>{3, 1});
  group.work(Cause::dense, std::vector<double>{1, 4});
  group.meet(1);
  CHECK(group.now().value() == 5);
}
