#include "sim/validate/statistics.hpp"

#include <stdexcept>
#include <vector>

#include "tests/catch_compat.hpp"

using namespace moesim;

TEST_CASE("A quantile lies between order statistics", "[validate]") {
  const std::vector<double> values{10, 1, 3, 2};
  CHECK(quantile(values, 0.5) == Approx(2.5));  // between 2 and 3
  CHECK(quantile(values, 0.9) == Approx(7.9));  // at 2.7 of 0 .. 3: 3 + 0.7 x (10 - 3)
  CHECK(quantile(values, 0) == 1);
  CHECK(quantile(values, 1) == 10);
}

TEST_CASE("Errors are of predicted over measured", "[validate]") {
  // errors -0.5, 0.1, 0.2, 1.0: sizes 0.1, 0.2, 0.5, 1.0
  const std::vector<PredictedPair> pairs{{5, 10}, {11, 10}, {24, 20}, {40, 20}};
  const ErrorStatistics errors = error_statistics(pairs);
  CHECK(errors.n == 4);
  CHECK(errors.median == Approx(0.35));
  CHECK(errors.p90 == Approx(0.85));  // 0.5 + 0.7 x 0.5
  CHECK(errors.bias == Approx(0.15));
  // ranks of predicted 0 1 2 3, of measured 0.5 0.5 2.5 2.5: cov 4, variances 5 and 4
  CHECK(errors.ordering.value() == Approx(4 / 4.47213595));
}

TEST_CASE("Rank correlation is one for the same order and minus one for the opposite", "[validate]") {
  CHECK(rank_correlation(std::vector<PredictedPair>{{1, 10}, {2, 20}, {3, 1000}}).value() == Approx(1));
  CHECK(rank_correlation(std::vector<PredictedPair>{{3, 10}, {2, 20}, {1, 1000}}).value() == Approx(-1));
}

TEST_CASE("There is no rank correlation of two pairs nor of equal values", "[validate]") {
  CHECK_FALSE(rank_correlation(std::vector<PredictedPair>{{1, 2}, {2, 3}}).has_value());
  CHECK_FALSE(rank_correlation(std::vector<PredictedPair>{{1, 2}, {1, 3}, {1, 4}}).has_value());
}

TEST_CASE("Statistics of nothing are refused", "[validate]") {
  REQUIRE_THROWS_WITH(error_statistics({}), "error statistics of no pairs");
}
