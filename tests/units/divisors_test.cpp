#include "models/units/divisors.hpp"

#include "tests/catch_compat.hpp"

using namespace moesim;

TEST_CASE("A count that does not divide has its neighbours among the divisors", "[units]") {
  CHECK(nearest_divisors(3, 8) == "2 or 4");
  CHECK(nearest_divisors(5, 12) == "4 or 6");
  CHECK(nearest_divisors(144, 256) == "128 or 256");
  CHECK(nearest_divisors(16, 8) == "8");  // nothing above
  CHECK(nearest_divisors(5, 7) == "1 or 7");
  CHECK(nearest_divisors(4, 8) == "4");
}

TEST_CASE("Multiples next to a count are at least what is needed", "[units]") {
  CHECK(nearest_multiples(15, 8) == "8 or 16");
  CHECK(nearest_multiples(15, 8, 12) == "16");
  CHECK(nearest_multiples(3, 8) == "8");
  CHECK(nearest_multiples(3, 8, 12) == "16");
  CHECK(nearest_multiples(16, 8) == "16");
}
