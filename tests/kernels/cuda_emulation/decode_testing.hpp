#pragma once
// The decode GEMM on random quantised weights, launched as the product launches it and compared with fp64 over the
// dequantised weights.

#include "models/kernels/cuda/decode_gemm.cuh"
#include "tests/kernels/cuda_emulation/gemm_testing.hpp"

namespace moesim::cuda::testing {

struct QuantizedExperts {
  std::vector<Vector16> packed;
  std::vector<std::vector<double>> values;  ///< of each expert, [n, k]

  QuantizedExperts(WeightFormat format, std::size_t experts, int n, int k, std::uint64_t seed) {
    Random random{seed, Purpose::test, 2, 0};
    for (std::size_t expert = 0; expert < experts; ++expert) {
      const auto matrix = random_weights(format, n, k, 1.5 / std::sqrt(k), [&] { return random.bits(); });
      const auto one = pack(matrix);
      packed.insert(packed.end(), one.begin(), one.end());
      values.push_back(dequantised(matrix));
    }
  }
};

template <class Shape, Epilogue kEpilogue, Fault kFault = Fault::none>
GemmResult run_decode(const Layout& layout, int n, int k, std::uint64_t seed, bool gathered = false) {
  const QuantizedExperts weights{Shape::kFormat, layout.counts.size(), n, k, seed};
  Buffer<Vector16> b{weights.packed};
  GemmCase<kEpilogue> input{layout, Shape::kTokens, n, k, seed, gathered};
  const GroupedGemm gemm = input.gemm(b.data());
  emulation::launch({kBlocks, Shape::kThreads, Shape::kSharedBytes},
                    [&] { decode_gemm<Shape, kEpilogue, kFault>(gemm); });
  return input.result([&](std::size_t expert) { return std::span<const double>{weights.values[expert]}; });
}

}  // namespace moesim::cuda::testing
