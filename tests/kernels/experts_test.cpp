// The grouped expert FFN: hand arithmetic, idle experts, published floors.

#include <algorithm>

#include "tests/catch_compat.hpp"
#include "tests/kernels/kernels_testing.hpp"

using namespace moesim;
using namespace moesim::testing;

namespace {

using Rows = std::vector<std::int32_t>;

constexpr ExpertShape kMixtral{.hidden = 4096, .expert_hidden = 14336};
constexpr ExpertShape kDeepSeekV3{.hidden = 7168, .expert_hidden = 2048, .format = NumberFormat::fp8_block};

/// An H100 or H200 with nothing lost and no launch: what the floors of oracles L26 and L27 assume.
Gpu ideal(BytesPerSecond bandwidth) {
  Gpu gpu = h100();
  gpu.memory_bandwidth = bandwidth;
  gpu.memory_efficiency = gpu.compute_efficiency = 1;
  gpu.kernel_launch = Seconds{0};
  return gpu;
}

/// Mixtral 8x7B without its experts and its input embedding: every weight a decode step reads whatever the routing
/// does. Per layer: q and o 2 x 4096^2, k and v 2 x 4096 x 1024, router 4096 x 8, norms 2 x 4096; then final norm and
/// head.
constexpr double kMixtralSharedParameters =
    32.0 * (2 * 4096 * 4096 + 2 * 4096 * 1024 + 4096 * 8 + 2 * 4096) + 4096 + 4096 * 32000.0;

}  // namespace

TEST_CASE("An idle expert costs nothing", "[kernels]") {
  const auto experts = make_roofline(h100())->experts(kDeepSeekV3);
  CHECK((*experts)(Rows{0, 0, 0}).value() == 0);
  CHECK((*experts)(Rows{}).value() == 0);
  CHECK((*experts)(Rows{5, 0, 0, 3}).value() == (*experts)(Rows{5, 3}).value());
}

TEST_CASE("A compute-bound expert is the sum of two tiled products and one stream", "[kernels]") {
  // d 1024, f 256 on the toy GPU (4 SMs of 1 TFLOP/s, 1 TB/s, bf16), 256 rows in one slot.
  // GEMM1 [256, 1024] x [1024, 512]: 2 x 2 tiles of 128 x 256, one wave: 67.108864 us
  // SwiGLU: 256 x (512 x 2 + 256 x 2) B = 393,216 B: 0.393216 us
  // GEMM2 [256, 256] x [256, 1024]: 2 x 4 tiles of 128 x 256, two waves of 2 x 128 x 256 x 256 = 16.777 us: 33.554432
  // us
  const auto experts = make_roofline(toy_gpu())->experts({.hidden = 1024, .expert_hidden = 256});
  CHECK(microseconds((*experts)(Rows{256})) == Approx(67.108864 + 0.393216 + 33.554432));

  SECTION("the same rows over two slots fill the same tiles") {
    CHECK(microseconds((*experts)(Rows{128, 128})) == Approx(67.108864 + 0.393216 + 33.554432));
  }
  SECTION("three launches come on top") {
    Gpu gpu = toy_gpu();
    gpu.kernel_launch = 2.0_us;
    const auto launched = make_roofline(gpu)->experts({.hidden = 1024, .expert_hidden = 256});
    CHECK(microseconds((*launched)(Rows{256})) == Approx(67.108864 + 0.393216 + 33.554432 + 6));
  }
}

TEST_CASE("Few rows per expert are bound by reading the weights of the active slots", "[kernels]") {
  // DeepSeek-V3 fp8 block: 3 x 7168 x 2048 = 44,040,192 weights x 8.001953 / 8 = 44,050,944 B per expert; at 2.68 TB/s
  // 16.4369 us. 4 of 36 slots active, one row each. Activations per row: GEMM1 7168 x 1.03125 + 4096 x 2 = 15,584 B,
  // SwiGLU 4096 x 2 + 2048 x 1.03125 = 10,304 B, GEMM2 2048 x 1.03125 + 7168 x 2 = 16,448 B: 42,336 B. + 3 launches.
  Rows rows(36, 0);
  rows[1] = rows[7] = rows[20] = rows[35] = 1;
  const auto experts = make_roofline(h100())->experts(kDeepSeekV3);
  CHECK(microseconds((*experts)(rows)) == Approx(9 + 4 * (44.050944 + 0.042336) / 2.68).epsilon(1e-6));
}

TEST_CASE("Skew at equal rows touches fewer experts and is faster at small batch, slower at large", "[kernels]") {
  const auto experts = make_roofline(h100())->experts({.hidden = 4096, .expert_hidden = 1536});
  CHECK((*experts)(Rows{8, 0, 0, 0, 0, 0, 0, 0}) < (*experts)(Rows{1, 1, 1, 1, 1, 1, 1, 1}));
  // 129 rows in every slot need two row tiles each; 128 need one
  CHECK((*experts)(Rows(64, 129)) > (*experts)(Rows(64, 128)));
}

TEST_CASE("Mixtral's decode step at batch 1 takes at least what reading its weights takes (L26)", "[kernels]") {
  // 12,748,853,248 active weights (without the input embedding) x 2 B = 25.498 GB: 7.611 ms at 3.35 TB/s, 5.312 ms
  // at 4.8
  const auto [bandwidth, expected_ms] = GENERATE(std::pair{3.35_TBps, 7.611}, std::pair{4.8_TBps, 5.312});
  const auto kernels = make_roofline(ideal(bandwidth));
  const Seconds shared = kernels->time(streaming(Bytes{2 * kMixtralSharedParameters}));
  const Seconds layer = (*kernels->experts(kMixtral))(Rows{1, 0, 0, 1, 0, 0, 0, 0});
  CHECK((shared + 32 * layer).value() * 1e3 == Approx(expected_ms).epsilon(1e-3));
}

TEST_CASE("Mixtral's batch sweep on an H200 follows the active experts (L27)", "[kernels]") {
  // E(1 - (1 - k/E)^T) of 8 experts are read: 5.46875 at T = 4, 7.91982 at 16, 7.9999999 at 64. The floor counts
  // weights only, so the rows' activations (188,416 B each: GEMM1 4096 x 2 + 28672 x 2, SwiGLU 28672 x 2 + 14336 x 2,
  // GEMM2 14336 x 2 + 4096 x 2 bytes) are taken off.
  struct Case {
    double active, tokens, expected_ms;
  };
  const Case of = GENERATE(Case{2, 1, 5.31}, Case{5.46875, 4, 13.46}, Case{7.919823, 16, 19.22}, Case{8, 64, 19.41});
  const auto kernels = make_roofline(ideal(4.8_TBps));
  const auto experts = kernels->experts(kMixtral);
  const auto with_active = [&](int count) {  // rows spread over `count` experts
    Rows rows(8, 0);
    for (int token = 0; token < 2 * static_cast<int>(of.tokens); ++token) ++rows[token % count];
    return (*experts)(rows).value() - 2 * of.tokens * 188416 / 4.8e12;
  };
  const int below = std::min(7, static_cast<int>(of.active));
  const double layer = with_active(below) + (of.active - below) * (with_active(below + 1) - with_active(below));
  const double shared = kernels->time(streaming(Bytes{2 * kMixtralSharedParameters})).value();
  CHECK((shared + 32 * layer) * 1e3 == Approx(of.expected_ms).epsilon(1e-3));
}

TEST_CASE("DeepSeek-V3's measured decode experts are met within 30 % (domain B.5 anchors)", "[kernels]") {
  // SGLang 0.5.10, H100, masked grouped GEMM, few tokens: 32, 16, 8, 4, 2, 1 experts per GPU. A floor without tuning:
  // the error grows as launches and synchronisation of tiny kernels begin to count.
  const auto [experts, measured_us] = GENERATE(std::pair{32, 530.0}, std::pair{16, 277.0}, std::pair{8, 151.0},
                                               std::pair{4, 86.0}, std::pair{2, 54.0}, std::pair{1, 36.0});
  const auto time = make_roofline(h100())->experts(kDeepSeekV3);
  const double predicted_us = microseconds((*time)(Rows(experts, 4)));
  INFO(experts << " experts: predicted " << predicted_us << " us, measured " << measured_us);
  CHECK(predicted_us / measured_us > 0.70);
  CHECK(predicted_us / measured_us < 1.30);
}

TEST_CASE("A tabulated tile count and a computed one agree", "[kernels]") {
  // 511 and 512 tiles of 128 rows lie on both sides of the prepared table: the step is one 128-row tile in each GEMM, a
  // quarter wave on 4 SMs or none.
  const auto experts = make_roofline(toy_gpu())->experts({.hidden = 1024, .expert_hidden = 256});
  const double wave = 67.108864e-6 / 2;  // per 128-row tile: GEMM1 2 tiles of 4 SMs
  const double below = (*experts)(Rows{510 * 128}).value(), above = (*experts)(Rows{512 * 128}).value();
  // two more row tiles: GEMM1 4 more tiles = 1 wave (67.1 us), GEMM2 8 more = 2 waves (33.6 us), SwiGLU 256 rows
  CHECK(above - below == Approx(2 * wave + 33.554432e-6 + 0.393216e-6).epsilon(1e-6));
}

TEST_CASE("Fewer weight bits are faster where one row of every expert is bound by reading weights", "[kernels]") {
  // Weight-only formats pass L2 packed: a tile of 16 rows x 64 columns is fed by 16 + 64 b / 16 elements, not by 80.
  Gpu gpu = h100();  // a card whose SMs are slower: 1.29 TFLOP/s each
  gpu.memory_bandwidth = 1.008_TBps;
  gpu.bf16 = 165.2_TFLOPps;
  gpu.sms = 128;
  double before = 1;
  for (const NumberFormat format :
       {NumberFormat::bf16, NumberFormat::int4_group32, NumberFormat::int4_group128, NumberFormat::int3_group128}) {
    INFO(name_of(format));
    const double now = (*make_roofline(gpu)->experts({2048, 768, format}))(Rows(8, 1)).value();
    CHECK(now < before);
    before = now;
  }
}

TEST_CASE("A shape without width is the caller's mistake", "[kernels]") {
  const auto kernels = make_roofline(toy_gpu());
  REQUIRE_THROWS_WITH(kernels->experts({.hidden = 0, .expert_hidden = 8}),
                      "an expert needs widths above zero, got hidden 0 and expert_hidden 8");
}
