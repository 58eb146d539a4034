// Dense products, streams and attention cores by hand arithmetic on a four-SM GPU.

#include <limits>

#include "models/units/error.hpp"
#include "tests/catch_compat.hpp"
#include "tests/kernels/kernels_testing.hpp"

using namespace moesim;
using namespace moesim::testing;

TEST_CASE("The roofline names itself", "[kernels]") {
  CHECK(make_roofline(toy_gpu())->source() == KernelSource::roofline);
  CHECK(name_of(KernelSource::roofline) == "roofline");
  CHECK(name_of(KernelSource::calibrated) == "calibrated");
  CHECK(name_of(KernelSource::published) == "published");
  CHECK(name_of(KernelSource::transferred) == "transferred");
}

TEST_CASE("A stream takes its bytes over the sustained bandwidth plus one launch", "[kernels]") {
  Gpu gpu = toy_gpu();
  gpu.memory_efficiency = 0.8;
  gpu.kernel_launch = 3.0_us;
  // 8 MB / (0.8 x 1 TB/s) = 10 us; + 3 us
  CHECK(microseconds(make_roofline(gpu)->time(streaming(Bytes{8e6}))) == Approx(13));
}

TEST_CASE("An op without work launches nothing", "[kernels]") {
  const auto kernels = make_roofline(h100());
  CHECK(kernels->time(streaming(Bytes{0})).value() == 0);
  CHECK(kernels->time(gemm(0, 4096, 4096, NumberFormat::bf16, Bytes{0})).value() == 0);
}

TEST_CASE("A product that fills every SM once runs at the sustained rate", "[kernels]") {
  // 2 x 2 tiles of 128 x 256 on 4 SMs: one wave of 2 x 128 x 256 x 1024 = 67.109 MFLOP at 1 TFLOP/s per SM
  CHECK(microseconds(make_roofline(toy_gpu())->time(gemm(256, 512, 1024))) == Approx(67.108864));
}

TEST_CASE("One row more opens another wave", "[kernels]") {
  // 257 rows: 128 x 128 tiles are best: 3 x 4 = 12 tiles, 3 waves of 2 x 128 x 128 x 1024 = 33.554 MFLOP = 100.663 us
  // (128 x 256: 6 tiles, 2 waves of 67.109 = 134.2 us; 64 x 256 starves: 10 tiles, 3 waves of 41.943 = 125.8 us)
  CHECK(microseconds(make_roofline(toy_gpu())->time(gemm(257, 512, 1024))) == Approx(100.663296));
}

TEST_CASE("A narrow product splits k over idle SMs", "[kernels]") {
  // [16, k 65536] x [.., 64]: one 16 x 64 tile costs as much as 64 (16 + 64) = 5,120 multiply-adds per k to feed:
  // 2 x 5,120 x 65,536 = 671.089 us on one SM, a quarter on four: 167.772 us,
  // + partial sums 4 x 16 x 64 x 8 B = 32,768 B at 1 TB/s = 0.032768 us. Split 8 needs two waves of an eighth: the same
  // 167.772 us and twice the sums.
  CHECK(microseconds(make_roofline(toy_gpu())->time(gemm(16, 64, 65536))) == Approx(167.77216 + 0.032768));
}

TEST_CASE("A product with few rows is bound by reading its weights", "[kernels]") {
  // 4096 x 4096 bf16 = 33.55 MB at 0.8 x 3.35 TB/s = 12.52 us; + 3 us. Computing takes less.
  const Op op = gemm(8, 4096, 4096, NumberFormat::bf16, Bytes{4096.0 * 4096 * 2});
  CHECK(microseconds(make_roofline(h100())->time(op)) == Approx(3 + 33.554432 / 2.68));
}

TEST_CASE("Several equal products in one op fill the SMs together", "[kernels]") {
  Op op = gemm(128, 256, 1024);
  op.flops = 4 * op.flops;  // four heads, one tile each: one wave on four SMs
  CHECK(microseconds(make_roofline(toy_gpu())->time(op)) == Approx(67.108864));
}

TEST_CASE("Weights in fp8 multiply at the fp8 rate and int4 at the bf16 rate", "[kernels]") {
  const auto kernels = make_roofline(toy_gpu());
  const double bf16 = microseconds(kernels->time(gemm(256, 512, 1024)));
  CHECK(microseconds(kernels->time(gemm(256, 512, 1024, NumberFormat::fp8))) == Approx(bf16 / 2));
  CHECK(microseconds(kernels->time(gemm(256, 512, 1024, NumberFormat::fp8_block))) == Approx(bf16 / 2));
  CHECK(microseconds(kernels->time(gemm(256, 512, 1024, NumberFormat::int8))) == Approx(bf16 / 2));
  CHECK(microseconds(kernels->time(gemm(256, 512, 1024, NumberFormat::int4_group128))) == Approx(bf16));

  SECTION("a GPU without fp8 units falls back to bf16") {
    Gpu older = toy_gpu();
    older.fp8 = FlopsPerSecond{0};
    CHECK(microseconds(make_roofline(older)->time(gemm(256, 512, 1024, NumberFormat::fp8))) == Approx(bf16));
  }
}

TEST_CASE("Decode attention reads the KV cache, and absorbed MLA computes about as long", "[kernels]") {
  const auto kernels = make_roofline(h100());
  SECTION("grouped-query attention: bytes decide") {
    // 64 sequences x 4,096 keys x 2 x 8 heads x 128 x 2 B = 1.0737 GB at 2.68 TB/s = 400.6 us; + 3 us.
    // FLOPs 4 x 64 heads x 128 x 262,144 pairs = 8.59 G, rows padded 8 -> 64: 68.7 G at 551 TFLOP/s = 124.7 us
    AttentionCore core{.sequences = 64, .context = 4096, .heads = 64, .kv_heads = 8, .head_dim = 128};
    const Op op{"attention core", OpClass::attention_core, Flops{4.0 * 64 * 128 * 262144}, Bytes{262144.0 * 4096},
                core};
    CHECK(microseconds(kernels->time(op)) == Approx(3 + 262144.0 * 4096 / 2.68e6));
  }
  SECTION("absorbed MLA with 128 heads: FLOPs decide") {
    // 128 sequences x 4,096 keys x 278,528 FLOP = 146.03 GFLOP at 551 TFLOP/s = 265.0 us; + 3 us.
    // 1,152 B a key: 604 MB at 2.68 TB/s = 225.4 us. Measured: 260 us (domain B.5).
    AttentionCore core{.kind = AttentionKind::mla,
                       .sequences = 128,
                       .context = 4096,
                       .heads = 128,
                       .kv_heads = 1,
                       .head_dim = 576,
                       .absorbed = true};
    const Op op{"attention core", OpClass::attention_core, Flops{524288.0 * 278528}, Bytes{524288.0 * 1152}, core};
    CHECK(microseconds(kernels->time(op)) == Approx(3 + 524288.0 * 278528 / 551e6).epsilon(1e-9));
  }
}

TEST_CASE("Prefill attention pads to blocks of 128 queries and waits for its longest block", "[kernels]") {
  Gpu gpu = toy_gpu();  // attention at 551 / 989.5 of 4 TFLOP/s
  const double rate = 4e12 * 551 / 989.5;
  AttentionCore core{
      .phase = Phase::prefill, .sequences = 1, .new_tokens = 256, .heads = 8, .kv_heads = 8, .head_dim = 128};
  // 256 x 257 / 2 = 32,896 pairs x 8 heads x 4 x 128 FLOP
  const double flops = 32896.0 * 8 * 512;
  SECTION("two blocks per head, 16 blocks on 4 SMs: all of them") {
    const Op op{"attention core", OpClass::attention_core, Flops{flops}, Bytes{1}, core};
    CHECK(make_roofline(gpu)->time(op).value() == Approx(flops / rate));
  }
  SECTION("192 queries fill one and a half blocks: padded to two") {
    core.new_tokens = 192;
    const double fewer = 192 * 193 / 2.0 * 8 * 512;
    const Op op{"attention core", OpClass::attention_core, Flops{fewer}, Bytes{1}, core};
    CHECK(make_roofline(gpu)->time(op).value() == Approx(fewer * 256 / 192 / rate));
  }
  SECTION("one head: its last block of 128 queries x 256 keys works alone on one SM") {
    core.heads = 1;
    const Op op{"attention core", OpClass::attention_core, Flops{flops / 8}, Bytes{1}, core};
    CHECK(make_roofline(gpu)->time(op).value() == Approx(128.0 * 256 * 512 / (rate / 4)));
  }
}

TEST_CASE("Total time is the sum over ops", "[kernels]") {
  const auto kernels = make_roofline(toy_gpu());
  const std::vector<Op> ops{streaming(Bytes{1e6}), streaming(Bytes{2e6})};  // 1 us + 2 us
  CHECK(microseconds(total_time(*kernels, ops)) == Approx(3));
}

TEST_CASE("A GPU without rates is refused by name", "[kernels]") {
  Gpu gpu = toy_gpu();
  gpu.memory_bandwidth = BytesPerSecond{0};
  REQUIRE_THROWS_WITH(make_roofline(gpu), "gpu toy.memory_bandwidth: got 0, expected a value above 0");
  gpu = toy_gpu();
  gpu.bf16 = FlopsPerSecond{std::numeric_limits<double>::quiet_NaN()};
  REQUIRE_THROWS_WITH(make_roofline(gpu), "gpu toy.bf16: got nan, expected a value above 0");
  gpu = toy_gpu();
  gpu.sms = -1;
  REQUIRE_THROWS_WITH(make_roofline(gpu), "gpu toy.sms: got -1, expected a value above 0");
  gpu = toy_gpu();
  gpu.compute_efficiency = 1.5;
  REQUIRE_THROWS_WITH(make_roofline(gpu), "gpu toy.compute_efficiency: got 1.5, expected a share in (0, 1]");
  gpu = toy_gpu();
  gpu.kernel_launch = Seconds{-1};
  REQUIRE_THROWS_WITH(make_roofline(gpu), "gpu toy.kernel_launch: got -1, expected a value of 0 or more");
}

TEST_CASE("An added operation is bound by its FLOPs or its bytes, a norm by its bytes alone", "[kernels]") {
  // toy GPU: 4 TFLOP/s, 1 TB/s
  const auto kernels = make_roofline(toy_gpu());
  const Op heavy{"lora", OpClass::extra, Flops{8e9}, Bytes{1e9}, Streaming{}};
  const Op light{"lora", OpClass::extra, Flops{2e9}, Bytes{1e9}, Streaming{}};
  const Op norm{"norm", OpClass::norm, Flops{8e9}, Bytes{1e9}, Streaming{}};
  CHECK(kernels->time(heavy).value() == Approx(2e-3));
  CHECK(kernels->time(light).value() == Approx(1e-3));
  CHECK(kernels->time(norm).value() == Approx(1e-3));
}
