// Invariants with random shapes: more work is never faster, a faster GPU never slower, rates scale times (L36, L37).

#include <algorithm>
#include <array>
#include <cmath>

#include "models/units/random.hpp"
#include "tests/catch_compat.hpp"
#include "tests/kernels/kernels_testing.hpp"

using namespace moesim;
using namespace moesim::testing;

namespace {

constexpr std::uint64_t kSeed = 20240811;
constexpr std::array kFormats{NumberFormat::bf16,  NumberFormat::fp8_block,     NumberFormat::fp8,
                              NumberFormat::int8,  NumberFormat::int4_group128, NumberFormat::int3_group128,
                              NumberFormat::mxfp8, NumberFormat::mxfp4,         NumberFormat::mxfp4_mxfp8,
                              NumberFormat::nvfp4};

struct Case {
  ExpertShape shape;
  std::vector<std::int32_t> rows;
};

/// Widths of any size, not only multiples of a tile; a third of the slots idle; rows from 1 to some thousands.
Case random_case(Random& random) {
  Case result{{.hidden = 1 + static_cast<int>(random.below(8192)),
               .expert_hidden = 1 + static_cast<int>(random.below(4096)),
               .format = kFormats[random.below(kFormats.size())]},
              std::vector<std::int32_t>(1 + random.below(40))};
  for (auto& rows : result.rows)
    if (random.below(3) != 0) rows = static_cast<std::int32_t>(std::exp2(12 * random.uniform()));
  return result;
}

Seconds time(const Gpu& gpu, const Case& of) {
  return (*make_roofline(gpu)->experts(of.shape))(of.rows);
}

Op random_gemm(Random& random) {
  const double m = 1 + random.below(5000), n = 1 + random.below(20000), k = 1 + random.below(20000);
  return gemm(m, n, k, kFormats[random.below(kFormats.size())], Bytes{n * k + 2 * m * (n + k)});
}

/// All rates by c, no launch: what oracle L36 scales.
Gpu scaled(Gpu gpu, double c) {
  gpu.kernel_launch = Seconds{0};
  gpu.memory_bandwidth = c * gpu.memory_bandwidth;
  gpu.bf16 = c * gpu.bf16;
  gpu.fp8 = c * gpu.fp8;
  return gpu;
}

}  // namespace

TEST_CASE("More rows, another active expert and wider experts are never faster", "[kernels]") {
  const auto trial = GENERATE(range(0u, 100u));
  INFO("seed " << kSeed << ", trial " << trial);
  Random random{kSeed, Purpose::test, trial, 1};
  const Case base = random_case(random);
  const Seconds before = time(h100(), base);

  SECTION("more rows") {
    Case more = base;
    more.rows[random.below(static_cast<std::uint32_t>(more.rows.size()))] +=
        1 + static_cast<std::int32_t>(random.below(200));
    CHECK(time(h100(), more) >= before);
  }
  SECTION("another active expert") {
    Case more = base;
    more.rows.push_back(1);
    CHECK(time(h100(), more) > before);
  }
  SECTION("wider") {
    Case hidden = base, expert = base;
    hidden.shape.hidden += 1 + static_cast<int>(random.below(300));
    expert.shape.expert_hidden += 1 + static_cast<int>(random.below(300));
    CHECK(time(h100(), hidden) >= before);
    CHECK(time(h100(), expert) >= before);
  }
}

TEST_CASE("A dense product with more rows, columns or depth is never faster", "[kernels]") {
  const auto trial = GENERATE(range(0u, 100u));
  INFO("seed " << kSeed << ", trial " << trial);
  Random random{kSeed, Purpose::test, trial, 2};
  const auto kernels = make_roofline(h100());
  const Op base = random_gemm(random);
  const auto [m, n, k, weights] = std::get<Gemm>(base.shape);
  const double extra = 1 + random.below(300);
  const Seconds before = kernels->time(base) - Seconds{1e-15};  // flops / 2mnk of the batch rounds
  CHECK(kernels->time(gemm(m + extra, n, k, weights, base.bytes)) >= before);
  CHECK(kernels->time(gemm(m, n + extra, k, weights, base.bytes)) >= before);
  CHECK(kernels->time(gemm(m, n, k + extra, weights, base.bytes)) >= before);
}

TEST_CASE("A faster GPU is never slower", "[kernels]") {
  const auto trial = GENERATE(range(0u, 50u));
  INFO("seed " << kSeed << ", trial " << trial);
  Random random{kSeed, Purpose::test, trial, 3};
  const Case experts = random_case(random);
  const Op dense = random_gemm(random);
  std::array<Gpu, 4> faster{h100(), h100(), h100(), h100()};
  faster[0].memory_bandwidth = 1.4 * faster[0].memory_bandwidth;
  faster[1].bf16 = 1.4 * faster[1].bf16;
  faster[2].fp8 = 1.4 * faster[2].fp8;
  faster[3].kernel_launch = 1.0_us;
  for (const Gpu& gpu : faster) {
    CHECK(time(gpu, experts) <= time(h100(), experts));
    CHECK(make_roofline(gpu)->time(dense) <= make_roofline(h100())->time(dense));
  }
}

TEST_CASE("All rates times c make every time 1/c without launches (L36)", "[kernels]") {
  const auto trial = GENERATE(range(0u, 50u));
  INFO("seed " << kSeed << ", trial " << trial);
  Random random{kSeed, Purpose::test, trial, 4};
  const double c = std::exp2(4 * random.uniform() - 2);
  const Case experts = random_case(random);
  const Op dense = random_gemm(random);
  CHECK(time(scaled(h100(), c), experts).value() == Approx(time(scaled(h100(), 1), experts).value() / c).epsilon(1e-9));
  CHECK(make_roofline(scaled(h100(), c))->time(dense).value() ==
        Approx(make_roofline(scaled(h100(), 1))->time(dense).value() / c).epsilon(1e-9));
}

TEST_CASE("The order of slots does not matter", "[kernels]") {
  Random random{kSeed, Purpose::test, 0, 5};
  Case base = random_case(random);
  Case reversed = base;
  std::reverse(reversed.rows.begin(), reversed.rows.end());
  CHECK(time(h100(), base).value() == time(h100(), reversed).value());
}
