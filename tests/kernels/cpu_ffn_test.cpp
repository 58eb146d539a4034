// The expert FFN on processors against the same sums in double precision.

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "models/kernels/cpu/cpu_backend.hpp"
#include "models/kernels/cpu/expert_ffn.hpp"
#include "models/kernels/cpu/int8_rows.hpp"
#include "models/kernels/cpu/swiglu.hpp"
#include "models/units/random.hpp"
#include "tests/catch_compat.hpp"

using namespace moesim;

namespace {

struct Slot {
  std::vector<std::byte> memory;
  std::byte* at;  ///< 64-byte aligned

  explicit Slot(Bytes size) : memory(static_cast<std::size_t>(size.value()) + 64) {
    const auto address = reinterpret_cast<std::uintptr_t>(memory.data());  // NOLINT: alignment
    at = memory.data() + (64 - address % 64) % 64;
  }
};

struct Weights {
  std::vector<float> gate_up, down;
};

/// What the kernel is given: bf16 rounds its inputs before any sum, and so must the reference.
float as_stored(float value, KernelFormat format) {
  return format == KernelFormat::bf16 ? from_bf16(to_bf16(value)) : value;
}

std::vector<float> drawn(std::size_t count, KernelFormat format, Random& random) {
  std::vector<float> values(count);
  for (float& value : values) value = as_stored(static_cast<float>(random.normal() / 8), format);
  return values;
}

double silu(double x) {
  return x / (1 + std::exp(-x));
}

/// One row through one expert, all in double.
std::vector<double> reference_row(const float* x, const Weights& weights, int hidden, int width, double combine) {
  std::vector<double> between(static_cast<std::size_t>(2 * width)), y(static_cast<std::size_t>(hidden));
  for (int k = 0; k < hidden; ++k)
    for (int c = 0; c < 2 * width; ++c)
      between[static_cast<std::size_t>(c)] +=
          static_cast<double>(x[k]) * weights.gate_up[static_cast<std::size_t>(k * 2 * width + c)];
  for (int c = 0; c < width; ++c) {
    const double middle =
        combine * silu(between[static_cast<std::size_t>(c)]) * between[static_cast<std::size_t>(width + c)];
    for (int n = 0; n < hidden; ++n)
      y[static_cast<std::size_t>(n)] += middle * weights.down[static_cast<std::size_t>(c * hidden + n)];
  }
  return y;
}

/// Largest |got - expected| over the largest |expected|, of a whole batch. NaN where the kernel left poison.
double relative_error(int hidden, int width, const std::vector<std::int32_t>& rows, KernelFormat format,
                      std::uint64_t seed) {
  Random random{seed, Purpose::test, 0, 0};
  ExpertFfn ffn{hidden, width, format};
  std::vector<Weights> weights;
  std::vector<Slot> slots;
  std::vector<const std::byte*> addresses;
  const auto cells = static_cast<std::size_t>(hidden) * static_cast<std::size_t>(width);
  for (std::size_t e = 0; e < rows.size(); ++e) {
    weights.push_back({drawn(2 * cells, format, random), drawn(cells, format, random)});
    slots.emplace_back(ffn.stored_size());
    ffn.store(weights[e].gate_up, weights[e].down, slots[e].at);
    addresses.push_back(rows[e] > 0 ? slots[e].at : nullptr);  // reading an idle expert would crash
  }
  const auto total = static_cast<std::size_t>(std::accumulate(rows.begin(), rows.end(), 0));
  const std::vector<float> x = drawn(total * static_cast<std::size_t>(hidden), format, random);
  std::vector<float> combine(total);
  for (float& value : combine) value = static_cast<float>(random.uniform());
  ffn.load(rows, x, combine);
  ffn.run(addresses);
  ffn.run(addresses);  // a second call starts from what the first left behind

  double worst = 0, largest = 0;
  std::size_t row = 0;
  for (std::size_t e = 0; e < rows.size(); ++e)
    for (int i = 0; i < rows[e]; ++i, ++row) {
      const float* got = ffn.output().data() + row * static_cast<std::size_t>(hidden);
      const auto expected =
          reference_row(x.data() + row * static_cast<std::size_t>(hidden), weights[e], hidden, width, combine[row]);
      for (std::size_t n = 0; n < expected.size(); ++n) {
        const double error = std::abs(got[n] - expected[n]);
        worst = std::isnan(error) ? std::numeric_limits<double>::infinity() : std::max(worst, error);
        largest = std::max(largest, std::abs(expected[n]));
      }
    }
  return worst / largest;
}

}  // namespace

TEST_CASE("Experts on processors give what double precision gives", "[kernels]") {
  const KernelFormat format = GENERATE(KernelFormat::f32, KernelFormat::bf16, KernelFormat::int8);
  if (!ExpertFfn::runs(format)) {
    WARN("skipped: oneDNN " << ExpertFfn::onednn_version() << " does not run " << name_of(format) << " here");
    return;
  }
  const auto seed = GENERATE(as<std::uint64_t>{}, 1, 2);
  // widths that no vector length divides, ragged and empty experts, one row, one expert
  const auto rows = GENERATE(std::vector<std::int32_t>{1}, std::vector<std::int32_t>{3, 0, 17, 1},
                             std::vector<std::int32_t>{0, 0, 65}, std::vector<std::int32_t>{8, 8, 8, 8, 8, 8, 8, 8});
  const auto [hidden, width] = GENERATE(table<int, int>({{64, 32}, {45, 23}, {96, 160}}));
  INFO(name_of(format) << " " << hidden << " x " << width << ", " << rows.size() << " experts, seed " << seed);
  // bf16 rounds the middle once: 2^-9; f32 sums have at most 160 terms. int8 against weights and activations that were
  // never rounded: steps of 1/127 of the largest in a row, and of 1/63 in a column of weights, twice each
  const double limit = format == KernelFormat::int8 ? 6e-2 : format == KernelFormat::bf16 ? 4e-3 : 2e-6;
  CHECK(relative_error(hidden, width, rows, format, seed) < limit);
}

TEST_CASE("Eight-bit codes reach from the largest to its negative", "[kernels]") {
  const std::vector<float> rows{0.9f, -2.0f, 0.5f, 0.0f, 0.0f, 0.0f};
  std::vector<std::int8_t> codes(6);
  std::vector<float> scales(2);
  quantise_rows(rows, codes, scales);
  CHECK(codes == std::vector<std::int8_t>{57, -127, 32, 0, 0, 0});  // 57.15 and 31.75
  CHECK(scales[0] == Approx(2.0 / 127));
  CHECK(scales[1] == 0);
  std::vector<float> columns(3);
  quantise_columns(rows, codes, columns);
  CHECK(codes == std::vector<std::int8_t>{63, -63, 63, 0, 0, 0});
  CHECK(columns[2] == Approx(0.5 / 63));
}

TEST_CASE("A bf16 number is the nearest one, ties to even", "[kernels]") {
  CHECK(to_bf16(1.0f) == 0x3F80);
  CHECK(to_bf16(1.0f + 0x1p-8f) == 0x3F80);             // half way to 0x3F81: down to even
  CHECK(to_bf16(1.0f + 3 * 0x1p-8f) == 0x3F82);         // half way from 0x3F81: up to even
  CHECK(to_bf16(1.0f + 0x1p-8f + 0x1p-20f) == 0x3F81);  // above half
  CHECK(std::isnan(from_bf16(to_bf16(std::nanf("")))));
  CHECK(std::isinf(from_bf16(to_bf16(3.4e38f))));
  CHECK(from_bf16(0x4049) == 3.140625f);
}

TEST_CASE("The CPU backend times every call", "[kernels]") {
  const auto backend = make_cpu_backend();
  CHECK(backend->device().processors >= 1);
  CHECK(backend->device().memory > 1.0_GB);
  REQUIRE_FALSE(backend->formats().empty());
  const KernelShape shape{256, 128, 4, backend->formats().front()};
  backend->prepare(shape);
  const std::vector<std::int32_t> rows{4, 0, 4, 4};
  const auto cold = backend->run(rows, 5, Caches::cold).times;
  REQUIRE(cold.size() == 5);
  for (const Seconds time : cold) CHECK(time > Seconds{0});
  CHECK(backend->memory_needed(shape, 12, 4) > Bytes{5 * backend->device().last_level_cache.value()});
}
