// The decode GEMM over 4-bit and 8-bit weights, the kernel source itself, against fp64 over the dequantised weights.

#include "tests/kernels/cuda_emulation/decode_testing.hpp"

using namespace moesim;
using namespace moesim::cuda;
using namespace moesim::cuda::testing;

namespace {

/// What gave a planted mistake away, "" if nothing did.
template <class Shape, Epilogue kEpilogue, Fault kFault>
std::string noticed(const Layout& layout) {
  return noticed_by([&] { return run_decode<Shape, kEpilogue, kFault>(layout, 128, 1664, fresh_seed()).verdict(); });
}

template <class Shape, Fault kFault>
void check_noticed(const Layout& layout, const std::string& as) {
  using Catch::Matchers::Contains;
  CHECK_THAT((noticed<Shape, Epilogue::swiglu, kFault>(layout)), Contains(as));
  CHECK_THAT((noticed<Shape, Epilogue::row_scaled, kFault>(layout)), Contains(as));
}

constexpr auto kInt4 = WeightFormat::int4_group128;
constexpr auto kInt4Fine = WeightFormat::int4_group32;
constexpr auto kMxfp4 = WeightFormat::mxfp4;
constexpr auto kFp8 = WeightFormat::fp8_block128;

}  // namespace

TEST_CASE("e4m3 codes have the values of the OCP specification", "[kernels]") {
  CHECK(e4m3_value(0x38) == 1.0);      // exponent 7 is the bias
  CHECK(e4m3_value(0x7E) == 448.0);    // the largest
  CHECK(e4m3_value(0x81) == -0x1p-9);  // the smallest subnormal
  CHECK(e4m3_value(0x08) == 0x1p-6);   // the smallest normal
  CHECK(std::isnan(e4m3_value(0xFF)));
}

TEST_CASE("e2m1 codes have the values of the OCP specification", "[kernels]") {
  CHECK(e2m1_value(0x1) == 0.5);   // the subnormal
  CHECK(e2m1_value(0x2) == 1.0);   // exponent 1 is the bias
  CHECK(e2m1_value(0xF) == -6.0);  // the largest, negative
}

TEST_CASE("Unpacking gives every code its exact value", "[kernels]") {
  // A vector whose words are the codes 0, 1, 2, ... : register by register, the lower half first.
  bool right = true;
  for (int code = 0; code < 256; ++code) {
    if ((code & 0x7F) == 0x7F) continue;
    emulation::launch({1, 32}, [&] {
      const auto word = static_cast<std::uint32_t>(code) * 0x01010101u;
      const Vector16 same{{word, word, word, word}};
      const Vector16 fp8[2] = {same, same}, int4[1] = {same};
      std::uint32_t a[4];
      for (int step = 0; step < 4; ++step) {
        WeightCodes<kFp8>::unpack(fp8, step, a);
        for (const std::uint32_t pair : a)
          right &= low_bf16(pair) == e4m3_value(static_cast<std::uint8_t>(code)) && high_bf16(pair) == low_bf16(pair);
        WeightCodes<kInt4>::unpack(int4, step, a);
        for (int reg = 0; reg < 4; ++reg) {
          const float value = static_cast<float>(code >> (reg % 2 * 4) & 15) - 8.0f;
          right &= low_bf16(a[reg]) == value && high_bf16(a[reg]) == value;
        }
        WeightCodes<kMxfp4>::unpack(int4, step, a);
        for (int reg = 0; reg < 4; ++reg) {
          const double value = e2m1_value(static_cast<std::uint8_t>(code >> (reg % 2 * 4) & 15));
          right &= low_bf16(a[reg]) == value && high_bf16(a[reg]) == value;
        }
      }
    });
  }
  CHECK(right);
}

TEST_CASE("Quantised weights take the bytes that their codes and scales need", "[kernels]") {
  // 128 x 256 weights: 16 KiB of nibbles; 128 x 2 scales of 2 bytes, or 128 x 8; 2 panels x 2 groups x 16 bytes.
  CHECK(weight_bytes(kInt4, 128, 256) == 16384 + 512);
  CHECK(weight_bytes(kInt4Fine, 128, 256) == 16384 + 2048);
  CHECK(weight_bytes(kFp8, 128, 256) == 32768 + 64);
  CHECK(weight_bytes(kMxfp4, 128, 256) == 16384 + 1024);  // a byte for 32
}

TEMPLATE_TEST_CASE("The decode GEMM is right on ragged and empty experts in both layouts", "[kernels]", Decode8<kInt4>,
                   Decode16<kInt4>, Decode32<kInt4>, Decode8<kInt4Fine>, Decode16<kInt4Fine>, Decode32<kInt4Fine>,
                   Decode8<kFp8>, Decode16<kFp8>, Decode32<kFp8>, Decode8<kMxfp4>, Decode16<kMxfp4>, Decode32<kMxfp4>) {
  const std::uint64_t seed = fresh_seed();
  CAPTURE(seed);
  constexpr int kRows = TestType::kTokens;
  check(run_decode<TestType, Epilogue::swiglu>({ragged(kRows)}, 128, 384, seed));
  check(run_decode<TestType, Epilogue::row_scaled>({ragged(kRows), kRows + 3}, 192, 640, seed));
}

TEST_CASE("Depths that leave warps of the decode GEMM without work are right", "[kernels]") {
  const std::uint64_t seed = fresh_seed();
  CAPTURE(seed);
  check(run_decode<Decode8<kInt4Fine>, Epilogue::plain>({{3, 1}}, 64, 64, seed));
  check(run_decode<Decode8<kInt4>, Epilogue::plain>({{3, 1}}, 64, 128, seed));
  check(run_decode<Decode8<kInt4Fine>, Epilogue::plain>({{3, 9}}, 64, 2880, seed));  // gpt-oss: 45 steps of 64
}

TEMPLATE_TEST_CASE("The decode GEMM adds the biases and clamps as gpt-oss does", "[kernels]", Decode8<kMxfp4>,
                   Decode32<kInt4Fine>) {
  const std::uint64_t seed = fresh_seed();
  CAPTURE(seed);
  check(run_decode<TestType, Epilogue::clamped_swiglu>({{3, 0, TestType::kTokens + 1}}, 128, 192, seed));
  check(run_decode<TestType, Epilogue::biased_row_scaled>({{3, 0, TestType::kTokens + 1}}, 64, 192, seed));
}

TEST_CASE("Rows gathered through indices are right in the decode GEMM", "[kernels]") {
  const std::uint64_t seed = fresh_seed();
  CAPTURE(seed);
  check(run_decode<Decode8<kInt4>, Epilogue::swiglu>({ragged(8)}, 128, 256, seed, true));
  check(run_decode<Decode16<kFp8>, Epilogue::swiglu>({ragged(16), 20}, 128, 256, seed, true));
}

TEST_CASE("Histograms of any skew are right in the decode GEMM", "[kernels]") {
  const std::uint64_t seed = fresh_seed();
  CAPTURE(seed);
  Random random{seed, Purpose::test, 9, 0};
  std::vector<int> counts(12);
  for (int& count : counts) count = static_cast<int>(random.gamma(0.4) * 12);
  check(run_decode<Decode8<kInt4>, Epilogue::row_scaled>({counts}, 128, 256, seed));
  check(run_decode<Decode16<kFp8>, Epilogue::row_scaled>({counts}, 128, 256, seed));
}

TEMPLATE_TEST_CASE("A planted mistake in the decode GEMM is noticed", "[kernels]", Decode8<kInt4>, Decode16<kInt4Fine>,
                   Decode8<kFp8>, Decode8<kMxfp4>) {
  const Layout contiguous{{3, TestType::kTokens + 1}}, masked{{3, 1}, TestType::kTokens};
  CHECK(noticed<TestType, Epilogue::swiglu, Fault::none>(contiguous).empty());
  check_noticed<TestType, Fault::wait_depth>(contiguous, "reads a copy that has not been waited for");
  check_noticed<TestType, Fault::barrier>(contiguous, "reads what nothing wrote");
  check_noticed<TestType, Fault::fragment_row>(contiguous, "wrong result");
  check_noticed<TestType, Fault::scale_group>(contiguous, "wrong result");
  check_noticed<TestType, Fault::row_guard>(masked, "overwritten rows");
  check_noticed<TestType, Fault::zero_fill>(contiguous, "outside every buffer");
}
