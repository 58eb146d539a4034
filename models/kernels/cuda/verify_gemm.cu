#include <algorithm>
#include <cmath>
#include <limits>

#include "models/kernels/cuda/device_memory.cuh"
#include "models/kernels/cuda/reference.hpp"
#include "models/kernels/cuda/verify_gemm.hpp"

namespace moesim::cuda {
namespace {

constexpr int kDepth = 320;  // five stages: more than one turn of the shallow rings, less than one of the deepest
constexpr std::uint16_t kPoison = 0xFFFF;

std::vector<Bf16> random_values(std::size_t size, double scale, std::uint64_t& state) {
  std::vector<Bf16> values(size);
  for (Bf16& value : values)  // uniform, variance scale^2
    value = bf16_from(
        static_cast<float>(scale * (static_cast<double>(next_bits(state) >> 11) * 0x1p-52 - 1) * std::sqrt(3.0)));
  return values;
}

struct Case {
  std::vector<int> counts;
  int capacity;
  std::size_t begin(std::size_t expert) const {
    std::size_t row = 0;
    for (std::size_t e = 0; e < expert; ++e) row += static_cast<std::size_t>(capacity > 0 ? capacity : counts[e]);
    return row;
  }
};

double run(const GemmVariant& variant, const Case& input, int blocks, std::uint64_t& state) {
  const std::size_t experts = input.counts.size(), rows = input.begin(experts),
                    n = 2 * static_cast<std::size_t>(variant.columns);
  const bool gated = variant.epilogue == Epilogue::swiglu;
  const std::size_t width = gated ? n / 2 : n;
  const auto a = random_values(rows * kDepth, 1.0, state);
  const auto b = random_values(experts * n * kDepth, 1.5 / std::sqrt(kDepth), state);
  std::vector<float> scales(rows);
  for (float& scale : scales) scale = static_cast<float>(next_bits(state) >> 40) * 0x1p-24f;

  DeviceArray<Bf16> a_in{a}, b_in{b}, c{rows * width};
  DeviceArray<float> scales_in{scales};
  DeviceTileMap map{input.counts, variant.rows, input.capacity};
  const GroupedGemm gemm{a_in.data(),      nullptr,   b_in.data(),         c.data(),
                         scales_in.data(), map.map(), static_cast<int>(n), kDepth};
  check(launch(variant, gemm, blocks, nullptr), variant.name);
  const std::vector<Bf16> out = c.values();

  std::vector<Bf16> got;
  std::vector<double> expected;
  for (std::size_t expert = 0; expert < experts; ++expert) {
    const std::size_t begin = input.begin(expert), count = static_cast<std::size_t>(input.counts[expert]);
    auto part = reference::multiply(std::span{a}.subspan(begin * kDepth, count * kDepth),
                                    std::span{b}.subspan(expert * n * kDepth, n * kDepth), kDepth);
    if (gated) part = reference::swiglu(part, n);
    for (std::size_t i = 0; i < part.size(); ++i) {
      expected.push_back(gated ? part[i] : part[i] * scales[begin + i / n]);
      got.push_back(out[begin * width + i]);
    }
  }
  const auto written = std::count_if(out.begin(), out.end(), [](Bf16 value) { return value.bits != kPoison; });
  if (static_cast<std::size_t>(written) > expected.size()) return std::numeric_limits<double>::infinity();
  return reference::relative_errors(got, expected).worst;
}

}  // namespace

double verify(const GemmVariant& variant, const cudaDeviceProp& device, std::uint64_t seed) {
  int blocks = 0;
  check(prepare(variant, device, blocks), variant.name);
  const std::vector<int> counts{0, 1, variant.rows, 0, 2 * variant.rows + 1, variant.rows - 1, 0};
  double worst = 0;
  for (const int capacity : {0, 2 * variant.rows + 3})
    for (const int grid : {3, blocks})  // few blocks run several tiles each
      worst = std::max(worst, run(variant, {counts, capacity}, grid, seed));
  return worst;
}

}  // namespace moesim::cuda
