// RMSNorm, the kernel source itself, against fp64.

#include "models/kernels/cuda/rms_norm.cuh"

#include "tests/catch_compat.hpp"
#include "tests/kernels/cuda_emulation/ffn_testing.hpp"

using namespace moesim;
using namespace moesim::cuda;
using namespace moesim::cuda::testing;

namespace {

constexpr float kEpsilon = 1e-5f;

struct Rows {
  std::size_t tokens, width;
  std::vector<Bf16> x, residual, weight;

  Rows(std::size_t tokens_in, std::size_t width_in, std::uint64_t seed)
      : tokens{tokens_in},
        width{width_in},
        x{random_bf16(tokens * width, 1.0, seed, 1)},
        residual{random_bf16(tokens * width, 3.0, seed, 2)},
        weight{random_bf16(width, 1.0, seed, 3)} {}
};

struct Result {
  std::vector<Bf16> out, sum;
};

template <int kVectors, Fault kFault = Fault::none>
Result run(const Rows& rows, bool with_residual) {
  Buffer<Bf16> x{rows.x}, weight{rows.weight}, out{rows.x.size()}, sum{rows.x.size()};
  std::copy(rows.residual.begin(), rows.residual.end(), sum.data());
  const RmsNorm norm{x.data(),   with_residual ? sum.data() : nullptr, weight.data(),
                     out.data(), static_cast<int>(rows.tokens),        static_cast<int>(rows.width),
                     kEpsilon};
  emulation::launch({2, kRmsNormThreads, kRmsNormSharedBytes}, [&] { rms_norm<kVectors, kFault>(norm); });
  return {out.values(), sum.values()};
}

template <int kVectors>
void check_both_ways(const Rows& rows) {
  const Result added = run<kVectors>(rows, true), plain = run<kVectors>(rows, false);
  CHECK(reference::relative_errors(added.sum, reference::added(rows.x, rows.residual)).worst <= kTolerance);
  CHECK(reference::relative_errors(added.out, reference::rms_norm(added.sum, rows.weight, kEpsilon)).worst <=
        kTolerance);
  CHECK(reference::relative_errors(plain.out, reference::rms_norm(rows.x, rows.weight, kEpsilon)).worst <= kTolerance);
}

template <Fault kFault>
std::string noticed() {
  const Rows rows{3, 1000, fresh_seed()};
  return noticed_by([&] {
    const Result got = run<2, kFault>(rows, true);
    const auto expected = reference::rms_norm(got.sum, rows.weight, kEpsilon);
    return reference::relative_errors(got.out, expected).worst <= kTolerance ? "" : "wrong result";
  });
}

}  // namespace

TEST_CASE("RMSNorm is right at every width with and without a residual", "[kernels]") {
  const std::uint64_t seed = fresh_seed();
  CAPTURE(seed);
  for (const std::size_t width : {8, 128, 2880, 4096}) check_both_ways<2>(Rows{5, width, seed});
  check_both_ways<4>(Rows{3, 7168, seed});
  check_both_ways<8>(Rows{1, 16384, seed});
}

TEST_CASE("A row of zeros stays zeros in RMSNorm", "[kernels]") {
  Rows rows{1, 64, 1};
  std::fill(rows.x.begin(), rows.x.end(), Bf16{0});
  for (const Bf16 value : run<2>(rows, false).out) CHECK(float_from(value) == 0);
}

TEST_CASE("A planted mistake in RMSNorm is noticed", "[kernels]") {
  using Catch::Matchers::Contains;
  CHECK(noticed<Fault::none>().empty());
  CHECK_THAT(noticed<Fault::barrier>(), Contains("reads what nothing wrote"));
  CHECK_THAT(noticed<Fault::row_guard>(), Contains("outside every buffer"));
}
