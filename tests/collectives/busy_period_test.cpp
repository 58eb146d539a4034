#include <stdexcept>
#include <vector>

#include "models/collectives/collectives.hpp"
#include "tests/catch_compat.hpp"

using namespace moesim;

namespace {

/// Flows of 10 bytes over link 0 at 2 B/s: five seconds each when alone.
Seconds bound(const std::vector<double>& starts) {
  std::vector<Flow> flows;
  std::vector<Seconds> start;
  for (std::size_t i = 0; i < starts.size(); ++i) {
    flows.push_back({static_cast<int>(i), 99, Bytes{10}, {0}});
    start.emplace_back(starts[i]);
  }
  return busy_period_bound(flows, start, std::vector<BytesPerSecond>{BytesPerSecond{2}});
}

}  // namespace

TEST_CASE("A shared link is busy from a start until everything that follows has passed", "[collectives]") {
  CHECK(bound({0, 0}).value() == Approx(10));     // one busy period from 0: 2 x 5 s
  CHECK(bound({0, 3}).value() == Approx(10));     // still busy when the second begins
  CHECK(bound({0, 100}).value() == Approx(105));  // idle in between
  CHECK(bound({0, 4, 100, 101}).value() == Approx(110));
}

TEST_CASE("Equal starts give the fluid bound", "[collectives]") {
  // Link 0 carries 10 + 20 bytes at 2 B/s = 15 s, link 1 20 bytes at 1 B/s = 20 s; all start at 7.
  const std::vector<Flow> flows{{0, 1, Bytes{10}, {0}}, {1, 0, Bytes{20}, {0, 1}}};
  const std::vector<Seconds> start(2, Seconds{7});
  const std::vector<BytesPerSecond> capacity{BytesPerSecond{2}, BytesPerSecond{1}};
  CHECK(busy_period_bound(flows, start, capacity).value() == Approx(27));
  CHECK(busy_period_bound({}, start, capacity).value() == 0);
  CHECK_THROWS_AS(busy_period_bound(flows, std::vector<Seconds>(1), capacity), std::invalid_argument);
}
