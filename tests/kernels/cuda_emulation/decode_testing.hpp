#pragma once
// The decode GEMM on random quantised weights, launched as the product launches it and compared with fp64 over the
// dequantised weights.

#include "models/kernels/cuda/decode_gemm.cuh"
#include "tests/kernels/cuda_emulation/ffn_testing.hpp"

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
  const std::size_t experts = layout.counts.size(), rows = layout.rows();
  const auto depth = static_cast<std::size_t>(k), wide = static_cast<std::size_t>(n);
  const auto a = random_bf16(rows * depth, 1.0, seed, 1);
  const QuantizedExperts weights{Shape::kFormat, experts, n, k, seed};
  const RowInputs inputs{rows, experts * wide, gathered, seed};

  Buffer<Bf16> a_in{a}, bias_in{inputs.bias}, c{rows * (is_gated(kEpilogue) ? wide / 2 : wide)};
  Buffer<Vector16> b_in{weights.packed};
  Buffer<float> scale_in{inputs.scales};
  Buffer<int> from_in{inputs.from};
  BuiltMap map{layout.counts, Shape::kTokens, layout.capacity};
  const GroupedGemm gemm{
      a_in.data(),   gathered ? from_in.data() : nullptr, b_in.data(), c.data(), scale_in.data(), map.map(), n, k,
      bias_in.data()};
  emulation::launch({kBlocks, Shape::kThreads, Shape::kSharedBytes},
                    [&] { decode_gemm<Shape, kEpilogue, kFault>(gemm); });
  return compare(layout, c.values(), [&](std::size_t expert, std::size_t row) {
    const auto x = std::span{a}.subspan(static_cast<std::size_t>(inputs.from[row]) * depth, depth);
    return inputs.finished<kEpilogue>(reference::multiply(x, weights.values[expert], depth), expert, row);
  });
}

}  // namespace moesim::cuda::testing
