// Which tokens enter a rank's expert block.

#include "sim/serving/rank_times.hpp"
#include "tests/catch_compat.hpp"

using namespace moesim;

TEST_CASE("With an all-to-all those tokens enter an expert block that have an expert there", "[serving]") {
  constexpr LayoutKind layout = LayoutKind::data_expert_a2a;
  // one of 32 ranks, 8 experts a token: 1,024 x (1 - (31/32)^8) = 229.7
  CHECK(entering_tokens(layout, 1024, 1024 * 8 / 32.0, 8) == Approx(229.7).epsilon(1e-3));
  CHECK(entering_tokens(layout, 1024, 1024 * 8, 8) == 1024);  // all experts there
  CHECK(entering_tokens(layout, 1024, 1024, 1) == 1024);
  CHECK(entering_tokens(layout, 1024, 10, 1) == Approx(10));  // one expert a token: as many as there are rows
  // a rank with more of the rows sees more tokens, and never more than there are
  double before = 0;
  for (int rows = 64; rows <= 8192; rows *= 2) {
    const double now = entering_tokens(layout, 1024, rows, 8);
    CHECK(now > before);
    CHECK(now <= 1024);
    before = now;
  }
}

TEST_CASE("Where tokens are gathered or lie on every rank all of them enter", "[serving]") {
  for (const LayoutKind layout : {LayoutKind::tensor, LayoutKind::tensor_expert, LayoutKind::data_expert_gather})
    CHECK(entering_tokens(layout, 1024, 256, 8) == 1024);
}
