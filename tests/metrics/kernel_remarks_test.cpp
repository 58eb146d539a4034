// Kernel times that nobody measured are told in words.

#include "sim/metrics/kernel_remarks.hpp"

#include "tests/catch_compat.hpp"

using namespace moesim;

TEST_CASE("What lies beyond the tables or is the roofline's is told with its share, little of it is not", "[metrics]") {
  const auto use = [](const char* op_class, const char* regime, double sigma, double seconds) {
    return KernelUse{op_class, Cause::experts, "published", "k", regime, sigma, Seconds{seconds}};
  };
  CHECK(kernel_remarks({}).empty());
  CHECK(kernel_remarks({use("expert", "inside", 0.1, 1), use("head", "outside", 0.2, 0.04)}).empty());
  const auto lines = kernel_remarks({use("expert", "outside", 0.5, 6), use("expert", "outside", 0.3, 1),
                                     use("dense_ffn", "fallback", 0.4, 1), use("head", "inside", 0.1, 2)});
  REQUIRE(lines.size() == 2);
  CHECK(lines[0] ==
        "dense_ffn: 10 % of the kernel time is the roofline's: the profile has none, and kernels.fallback "
        "allows it");
  CHECK(lines[1] ==
        "expert: 70 % of the kernel time lies beyond the measured tables, whose last rate is carried on "
        "(± 50 %, and more where the kernel is another there)");
}

TEST_CASE("Another engine's times that stand in are told with whose they are", "[metrics]") {
  KernelUse lent{"attention_core", Cause::attention, "published", "flash", "inside", 0.2, Seconds{3}, "sglang"};
  const KernelUse own{"expert", Cause::experts, "published", "the best of all", "inside", 0.1, Seconds{7}};
  REQUIRE(kernel_remarks({lent, own}).size() == 1);
  CHECK(kernel_remarks({lent, own})[0] ==
        "attention_core: flash of sglang stands in (30 % of the kernel time): the engine's own measured times are "
        "doubtful on this GPU (moesim profile show)");
  lent.time = Seconds{0.1};
  CHECK(kernel_remarks({lent, own}).empty());
}

TEST_CASE("Experts of another model that stand in are told with what they miss by", "[metrics]") {
  const KernelUse similar{"expert", Cause::experts, "published", "k", "other experts", 0.31, Seconds{3}};
  REQUIRE(kernel_remarks({similar}).size() == 1);
  CHECK(kernel_remarks({similar})[0] ==
        "expert: 100 % of the kernel time is that of a model with as wide experts, but another number of them or "
        "another top-k, as the profile has no other (± 31 %)");
}
