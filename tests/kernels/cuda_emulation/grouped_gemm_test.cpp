// The grouped GEMM, the kernel source itself, against fp64: every tile, both layouts, ragged and empty experts.

#include "tests/kernels/cuda_emulation/gemm_testing.hpp"

using namespace moesim;
using namespace moesim::cuda;
using namespace moesim::cuda::testing;

TEMPLATE_TEST_CASE("The first GEMM of every tile is right on ragged and empty experts", "[kernels]", Tile16, Tile32,
                   Tile64, Tile128, Tile32Shallow, Tile128Shallow) {
  const std::uint64_t seed = fresh_seed();
  CAPTURE(seed);
  constexpr int kRows = TestType::kRows, kN = 2 * TestType::kColumns;
  check(run_gemm<TestType, Epilogue::swiglu>({ragged(kRows)}, kN, 192, seed));
  check(run_gemm<TestType, Epilogue::swiglu>({ragged(kRows), kRows + 3}, kN, 64, seed));
}

TEMPLATE_TEST_CASE("The second GEMM of every tile is right on ragged and empty experts", "[kernels]", Tile16, Tile32,
                   Tile64, Tile128, Tile32Shallow, Tile128Shallow, Tile32By96, Tile64By96, Tile128By96, Tile128By192) {
  const std::uint64_t seed = fresh_seed();
  CAPTURE(seed);
  constexpr int kRows = TestType::kRows, kN = 2 * TestType::kColumns;
  check(run_gemm<TestType, Epilogue::row_scaled>({ragged(kRows)}, kN, 192, seed));
  check(run_gemm<TestType, Epilogue::row_scaled>({ragged(kRows), kRows + 3}, kN, 64, seed));
}

TEMPLATE_TEST_CASE("The first GEMM adds the bias and clamps as gpt-oss does", "[kernels]", Tile16, Tile32, Tile64,
                   Tile128) {
  const std::uint64_t seed = fresh_seed();
  CAPTURE(seed);
  const Layout layout{{0, 1, TestType::kRows + 1}};
  check(run_gemm<TestType, Epilogue::clamped_swiglu>(layout, 2 * TestType::kColumns, 128, seed));
}

TEMPLATE_TEST_CASE("The second GEMM adds the bias before the combine weight", "[kernels]", Tile16, Tile32By96,
                   Tile64By96, Tile128By96, Tile128By192) {
  const std::uint64_t seed = fresh_seed();
  CAPTURE(seed);
  const Layout layout{{0, 1, TestType::kRows + 1}};
  check(run_gemm<TestType, Epilogue::biased_row_scaled>(layout, 2 * TestType::kColumns, 128, seed));
}

TEST_CASE("The clamped SwiGLU has the values of its formula", "[kernels]") {
  // gate 100 counts as 7 and up -100 as -7: 7 / (1 + e^(-1.702 * 7)) * (-7 + 1) = -41.9997; gate 0 gives 0; large
  // negative gates give nothing, whatever up is. sigmoid(1.702) = 0.845796.
  const std::vector<double> gates{100, 0, -50, 1, 1, 1, 1, 1}, ups{-100, 3, 5, 0, 100, -1, -3, 6};
  std::vector<double> products{gates};
  products.insert(products.end(), ups.begin(), ups.end());
  const auto out = reference::clamped_swiglu(products, 16);
  CHECK(out[0] == Approx(-41.9997).epsilon(1e-5));
  CHECK(out[1] == 0);
  CHECK(std::abs(out[2]) < 1e-30);
  CHECK(out[3] == Approx(0.845796).epsilon(1e-5));
  CHECK(out[4] == Approx(8 * 0.845796).epsilon(1e-5));
  CHECK(out[5] == 0);
  CHECK(out[6] == Approx(-2 * 0.845796).epsilon(1e-5));
}

TEST_CASE("Depths below and far above the length of the ring are right", "[kernels]") {
  const std::uint64_t seed = fresh_seed();
  const int depth = GENERATE(64, 448, 512, 1088, 2880);  // Tile16 has a ring of 8 stages of 64
  CAPTURE(seed, depth);
  check(run_gemm<Tile16, Epilogue::plain>({{5, 20, 1}}, 64, depth, seed));
}

TEST_CASE("Rows gathered through indices are right", "[kernels]") {
  const std::uint64_t seed = fresh_seed();
  CAPTURE(seed);
  check(run_gemm<Tile16, Epilogue::swiglu>({ragged(16)}, 128, 128, seed, true));
  check(run_gemm<Tile64, Epilogue::swiglu>({ragged(64), 80}, 128, 128, seed, true));
}

TEST_CASE("Histograms of any skew are right", "[kernels]") {
  const std::uint64_t seed = fresh_seed();
  CAPTURE(seed);
  Random random{seed, Purpose::test, 9, 0};
  std::vector<int> counts(12);
  for (int& count : counts) count = static_cast<int>(random.gamma(0.4) * 30);  // many idle, few hot
  check(run_gemm<Tile16, Epilogue::row_scaled>({counts}, 64, 128, seed));
  check(run_gemm<Tile32, Epilogue::row_scaled>({counts}, 128, 128, seed));
}

TEST_CASE("A batch without rows writes nothing", "[kernels]") {
  Buffer<Bf16> a{64}, b{64 * 64}, c{64};
  BuiltMap map{{0, 0}, 16, 0};
  const GroupedGemm gemm{a.data(), nullptr, b.data(), c.data(), nullptr, map.map(), 64, 64};
  emulation::launch({2, Tile16::kThreads, Tile16::kSharedBytes}, [&] { grouped_gemm<Tile16, Epilogue::plain>(gemm); });
  for (const Bf16 value : c.values()) CHECK(value.bits == 0xFFFF);
}

TEST_CASE("The tiles of gpt-oss divide its 2880 columns and those of the other models theirs", "[kernels]") {
  for (const int n : {2880}) {
    CHECK(n % Tile16::kColumns == 0);
    CHECK(n % Tile32By96::kColumns == 0);
    CHECK(n % Tile64By96::kColumns == 0);
    CHECK(n % Tile128By96::kColumns == 0);
    CHECK(n % Tile128By192::kColumns == 0);
  }
  // 2 i and h: Mixtral, Qwen3-235B, DeepSeek-V3, and the first GEMM of gpt-oss
  for (const int n : {2 * 14336, 4096, 2 * 1536, 2 * 2048, 7168, 2 * 2880}) CHECK(n % Tile128::kColumns == 0);
  for (const int k : {4096, 14336, 1536, 7168, 2048, 2880}) CHECK(k % kStageDepth == 0);
}
