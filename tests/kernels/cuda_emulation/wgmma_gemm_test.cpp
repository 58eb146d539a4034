// The Hopper GEMM, the kernel source itself, against fp64; and the emulation of what it stands on: mbarriers, the copy
// engine's swizzle, matrix descriptors.

#include "models/kernels/cuda/wgmma_gemm.cuh"

#include "tests/kernels/cuda_emulation/gemm_testing.hpp"

using namespace moesim;
using namespace moesim::cuda;
using namespace moesim::cuda::testing;

namespace {

template <class Shape, Epilogue kEpilogue, Fault kFault = Fault::none>
GemmResult run_wgmma(const Layout& layout, int n, int k, std::uint64_t seed) {
  const std::size_t experts = layout.counts.size();
  PlainExperts weights{experts, n, k, seed};
  GemmCase<kEpilogue> input{layout, Shape::kRows, n, k, seed, false};
  const auto depth = static_cast<std::size_t>(k);
  GroupedGemm gemm = input.gemm(nullptr);
  gemm.a = nullptr;
  const WgmmaGemm problem{{input.a(), layout.rows(), depth, Shape::kRows},
                          {weights.data(), experts * static_cast<std::size_t>(n), depth, Shape::kColumns},
                          gemm};
  emulation::launch({kBlocks, Shape::kThreads, Shape::kSharedBytes},
                    [&] { wgmma_gemm<Shape, kEpilogue, kFault>(problem); });
  return input.result(weights);
}

/// What gave a planted mistake away, "" if nothing did.
template <class Shape, Fault kFault>
std::string noticed(const Layout& layout) {
  return noticed_by([&] {
    return run_wgmma<Shape, Epilogue::row_scaled, kFault>(layout, Shape::kColumns, 576, fresh_seed()).verdict();
  });
}

}  // namespace

TEMPLATE_TEST_CASE("The Hopper GEMM is right on ragged and empty experts in both layouts", "[kernels]", Wgmma128,
                   Wgmma192, Wgmma256) {
  const std::uint64_t seed = fresh_seed();
  CAPTURE(seed);
  constexpr int kN = 2 * TestType::kColumns;
  check(run_wgmma<TestType, Epilogue::swiglu>({{0, 1, 128, 0, 129, 64, 0}}, kN, 128, seed));
  check(run_wgmma<TestType, Epilogue::row_scaled>({{0, 65, 131, 0}, 140}, kN, 64, seed));
}

TEST_CASE("The Hopper GEMM adds the biases and clamps as gpt-oss does", "[kernels]") {
  const std::uint64_t seed = fresh_seed();
  CAPTURE(seed);
  check(run_wgmma<Wgmma192, Epilogue::clamped_swiglu>({{70, 0, 129}}, 192, 128, seed));
  check(run_wgmma<Wgmma192, Epilogue::biased_row_scaled>({{70, 0, 129}}, 192, 128, seed));
}

TEST_CASE("The ring of the Hopper GEMM comes round within and across items", "[kernels]") {
  const std::uint64_t seed = fresh_seed();
  CAPTURE(seed);
  check(run_wgmma<Wgmma128, Epilogue::plain>({{40, 1, 3, 2}}, 128, 64 * 7, seed));  // one stage more than the ring has
  check(run_wgmma<Wgmma128, Epilogue::plain>({{40, 1}}, 128, 64 * 20, seed));
}

TEST_CASE("A planted mistake in the Hopper GEMM is noticed", "[kernels]") {
  using Catch::Matchers::Contains;
  const Layout contiguous{{3, 129}}, masked{{3, 1}, 128};
  CHECK((noticed<Wgmma128, Fault::none>(contiguous)).empty());
  CHECK_THAT((noticed<Wgmma128, Fault::wait_depth>(contiguous)), Contains("overwrites what warp"));
  CHECK_THAT((noticed<Wgmma128, Fault::release>(contiguous)), Contains("overwrites what warp"));
  CHECK_THAT((noticed<Wgmma128, Fault::barrier>(contiguous)), Contains("multiplies a tile"));
  CHECK((noticed<Wgmma128, Fault::fragment_row>(contiguous)) == "wrong result");
  CHECK((noticed<Wgmma128, Fault::row_guard>(masked)) == "overwritten rows");
}

TEST_CASE("The copy engine swizzles 16-byte chunks by their row and fills with zeros outside the matrix", "[kernels]") {
  // A matrix of 5 rows of 64, where element (r, c) is the bf16 with the bits 64 r + c; a box of 8 rows.
  std::vector<Bf16> values;
  for (std::uint16_t bits = 0; bits < 5 * 64; ++bits) values.push_back({bits});
  Buffer<Bf16> matrix{values};
  const TensorMap map{matrix.data(), 5, 64, 8};
  bool as_stated = true;
  emulation::launch({1, 32, 1024 + 8}, [&] {
    if (thread_index() > 0) return;
    init_phase_barrier(1024, 1);
    arrive_expecting(1024, 1024);
    copy_tile_async(0, map, 0, 0, 1024);
    wait_phase(1024, 0);
    for (std::uint32_t row = 0; row < 8; ++row)
      for (std::uint32_t chunk = 0; chunk < 8; ++chunk) {
        const std::uint32_t at = row * 128 + (chunk ^ row) * 16, bits = 64 * row + 8 * chunk;
        const std::uint32_t expected = row < 5 ? bits | (bits + 1) << 16 : 0;
        as_stated &= static_cast<std::uint32_t>(shared_load(at)) == expected;
      }
  });
  CHECK(as_stated);
}

TEST_CASE("An mbarrier completes a phase when all arrivals have come", "[kernels]") {
  std::vector<int> order;
  emulation::launch({1, 64, 8}, [&] {
    if (thread_index() == 0) {
      init_phase_barrier(0, 2);
      wait_phase(0, 1);  // of a fresh one: the phase before is over
    }
    barrier();
    if (thread_index() == 0) {
      wait_phase(0, 0);
      order.push_back(3);
    } else if (thread_index() == 33 || thread_index() == 34) {
      order.push_back(thread_index() - 32);
      arrive_at_phase(0);
    }
  });
  CHECK(order == std::vector<int>{1, 2, 3});
}

TEST_CASE("Misuse of an mbarrier is a fault", "[kernels]") {
  CHECK(fault_of({1, 32, 8}, [] {
          if (thread_index() == 0) wait_phase(0, 0);
        }) == "thread 0: no mbarrier at shared address 0 yet");
  CHECK(fault_of({1, 32, 8}, [] {
          if (thread_index() == 0) init_phase_barrier(0, 1);
          if (thread_index() == 1) arrive_at_phase(0);
        }) == "thread 1: no mbarrier at shared address 0 yet");
  CHECK(fault_of({1, 32, 8}, [] {
          if (thread_index() > 0) return;
          init_phase_barrier(0, 1);
          arrive_expecting(0, 16);
          wait_phase(0, 0);
        }) == "nobody can go on: 0 threads at a barrier, 1 at an mbarrier, 0 in a warp operation, 31 have returned");
}
