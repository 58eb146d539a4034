#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>

#include "models/kernels/cuda/device_memory.cuh"
#include "models/kernels/cuda/quantized_weights.hpp"
#include "models/kernels/cuda/reference.hpp"
#include "models/kernels/cuda/verify_gemm.hpp"
#include "models/kernels/cuda/wgmma_kernels.hpp"

namespace moesim::cuda {
namespace {

constexpr int kStages = 5;  // more than one turn of the shallow rings, less than one of the deepest
constexpr std::uint16_t kPoison = 0xFFFF;

std::vector<Bf16> random_values(std::size_t size, double scale, std::uint64_t& state) {
  std::vector<Bf16> values(size);
  for (Bf16& value : values)  // uniform, variance scale^2
    value = bf16_from(
        static_cast<float>(scale * (static_cast<double>(next_bits(state) >> 11) * 0x1p-52 - 1) * std::sqrt(3.0)));
  return values;
}

/// Weights of all experts: as the kernel reads them, and their values [n, k] each.
struct Weights {
  std::vector<std::byte> bytes;
  std::vector<std::vector<double>> values;

  Weights(WeightFormat format, std::size_t experts, int n, int k, std::uint64_t& state) {
    const double deviation = 1.5 / std::sqrt(k);
    const auto size = static_cast<std::size_t>(n) * static_cast<std::size_t>(k);
    for (std::size_t expert = 0; expert < experts; ++expert)
      if (format == WeightFormat::bf16) {
        add(random_values(size, deviation, state));
      } else {
        const auto matrix =
            random_weights(format, n, k, deviation, [&] { return static_cast<std::uint32_t>(next_bits(state) >> 32); });
        append(pack(matrix));
        values.push_back(dequantised(matrix));
      }
  }

private:
  template <class T>
  void append(const std::vector<T>& part) {
    const std::size_t before = bytes.size();
    bytes.resize(before + part.size() * sizeof(T));
    std::memcpy(&bytes[before], part.data(), part.size() * sizeof(T));
  }
  void add(const std::vector<Bf16>& plain) {
    append(plain);
    std::vector<double>& of = values.emplace_back();
    for (const Bf16 value : plain) of.push_back(float_from(value));
  }
};

struct Case {
  std::vector<int> counts;
  int capacity;
  std::size_t begin(std::size_t expert) const {
    std::size_t row = 0;
    for (std::size_t e = 0; e < expert; ++e) row += static_cast<std::size_t>(capacity > 0 ? capacity : counts[e]);
    return row;
  }
};

/// Puts the GEMM on the default stream: its rows, experts and blocks.
using Launch = std::function<cudaError_t(const GroupedGemm&, int, int, int)>;

double run(const GemmVariant& variant, const Launch& start, const Case& input, int blocks, std::uint64_t& state) {
  const int n = 2 * variant.columns, k = kStages * variant.depth;
  const auto wide = static_cast<std::size_t>(n), depth = static_cast<std::size_t>(k);
  const std::size_t experts = input.counts.size(), rows = input.begin(experts);
  const bool gated = is_gated(variant.epilogue);
  const std::size_t width = gated ? wide / 2 : wide;
  const auto a = random_values(rows * depth, 1.0, state);
  const Weights weights{variant.format, experts, n, k, state};
  std::vector<float> scales(rows);
  for (float& scale : scales) scale = static_cast<float>(next_bits(state) >> 40) * 0x1p-24f;
  const auto bias = random_values(experts * wide, 1.0, state);

  DeviceArray<Bf16> a_in{a}, bias_in{bias}, c{rows * width};
  DeviceArray<std::byte> b_in{weights.bytes};
  DeviceArray<float> scales_in{scales};
  DeviceTileMap map{input.counts, variant.rows, input.capacity};
  const GroupedGemm gemm{a_in.data(), nullptr, b_in.data(), c.data(),      scales_in.data(),
                         map.map(),   n,       k,           bias_in.data()};
  check(start(gemm, static_cast<int>(rows), static_cast<int>(experts), blocks), variant.name);
  const std::vector<Bf16> out = c.values();

  std::vector<Bf16> got;
  std::vector<double> expected;
  for (std::size_t expert = 0; expert < experts; ++expert) {
    const std::size_t begin = input.begin(expert), count = static_cast<std::size_t>(input.counts[expert]);
    auto part = reference::multiply(std::span{a}.subspan(begin * depth, count * depth), weights.values[expert], depth);
    if (is_biased(variant.epilogue))
      for (std::size_t i = 0; i < part.size(); ++i) part[i] += float_from(bias[expert * wide + i % wide]);
    if (gated)
      part =
          variant.epilogue == Epilogue::swiglu ? reference::swiglu(part, wide) : reference::clamped_swiglu(part, wide);
    for (std::size_t i = 0; i < part.size(); ++i) {
      expected.push_back(gated ? part[i] : part[i] * scales[begin + i / wide]);
      got.push_back(out[begin * width + i]);
    }
  }
  const auto written = std::count_if(out.begin(), out.end(), [](Bf16 value) { return value.bits != kPoison; });
  if (static_cast<std::size_t>(written) > expected.size()) return std::numeric_limits<double>::infinity();
  return reference::relative_errors(got, expected).worst;
}

double worst_of(const GemmVariant& variant, const Launch& start, const cudaDeviceProp& device, std::uint64_t seed) {
  int blocks = 0;
  check(prepare(variant.kernel, device, blocks), variant.name);
  const std::vector<int> counts{0, 1, variant.rows, 0, 2 * variant.rows + 1, variant.rows - 1, 0};
  double worst = 0;
  for (const int capacity : {0, 2 * variant.rows + 3})
    for (const int grid : {3, blocks})  // few blocks run several tiles each
      worst = std::max(worst, run(variant, start, {counts, capacity}, grid, seed));
  return worst;
}

}  // namespace

double verify(const GemmVariant& variant, const cudaDeviceProp& device, std::uint64_t seed) {
  const auto start = [&](const GroupedGemm& gemm, int, int, int blocks) {
    return launch(variant.kernel, gemm, blocks, nullptr);
  };
  return worst_of(variant, start, device, seed);
}

double verify_wgmma(const GemmVariant& variant, const cudaDeviceProp& device, std::uint64_t seed) {
  const auto start = [&](const GroupedGemm& gemm, int rows, int experts, int blocks) {
    return launch_wgmma(variant, gemm, rows, experts, blocks, nullptr);
  };
  return worst_of(variant, start, device, seed);
}

}  // namespace moesim::cuda
