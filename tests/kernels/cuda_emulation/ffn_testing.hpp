#pragma once
// Inputs for the kernels under test, and the kernels launched as the product launches them.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <vector>

#include "models/kernels/cuda/build_tile_map.cuh"
#include "models/kernels/cuda/expert_ffn.cuh"
#include "models/kernels/cuda/reference.hpp"
#include "models/units/random.hpp"

namespace moesim::cuda::testing {

using emulation::Buffer;

constexpr double kTolerance = 4e-3;  ///< relative; rounding the result to bf16 alone costs up to 2^-9 = 2.0e-3

/// Another one on every run: the kernels must be right for all inputs. A failure prints it.
inline std::uint64_t fresh_seed() {
  return static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch().count());
}

constexpr int kBlocks = 3;  ///< of the persistent kernels: few, so that each runs several tiles

inline std::vector<Bf16> random_bf16(std::size_t size, double scale, std::uint64_t seed, std::uint32_t stream) {
  Random random{seed, Purpose::test, stream, 0};
  std::vector<Bf16> values(size);
  for (Bf16& value : values) value = bf16_from(static_cast<float>(scale * random.normal()));
  return values;
}

/// A tile map on the device, built by build_tile_map.
struct BuiltMap {
  BuiltMap(const std::vector<int>& counts, int tile_rows, int capacity)
      : experts(counts.size()), tile_expert(tiles_of(counts, tile_rows, capacity)), tiles(1) {
    Buffer<int> input{counts};
    emulation::launch({1, kTileMapThreads, kTileMapSharedBytes}, [&] {
      build_tile_map(input.data(), static_cast<int>(counts.size()), tile_rows, capacity, map());
    });
  }
  TileMap map() { return {experts.data(), tile_expert.data(), tiles.data()}; }

  Buffer<ExpertRows> experts;
  Buffer<int> tile_expert, tiles;

private:
  static std::size_t tiles_of(const std::vector<int>& counts, int tile_rows, int capacity) {
    int rows = 0;
    for (const int count : counts) rows += capacity > 0 ? std::min(count, capacity) : count;
    return static_cast<std::size_t>(most_tiles(rows, static_cast<int>(counts.size()), tile_rows));
  }
};

/// Rows per expert and where they lie.
struct Layout {
  std::vector<int> counts;
  int capacity = 0;  ///< 0: contiguous
  std::size_t begin(std::size_t expert) const {
    std::size_t row = 0;
    for (std::size_t e = 0; e < expert; ++e) row += static_cast<std::size_t>(capacity > 0 ? capacity : counts[e]);
    return row;
  }
  std::size_t rows() const { return begin(counts.size()); }
};

struct GemmResult {
  double error;         ///< relative, over all rows of all experts
  bool rest_untouched;  ///< rows of no expert are still poison
};

/// Compares c [rows, width] with `expected(expert, row)`, the values of one row, for the rows of all experts.
template <class Expected>
GemmResult compare(const Layout& layout, const std::vector<Bf16>& c, const Expected& expected) {
  std::vector<Bf16> got;
  std::vector<double> wanted;
  const std::size_t rows = layout.rows(), width = rows == 0 ? 0 : c.size() / rows;
  std::vector<bool> owned(rows, false);
  for (std::size_t expert = 0; expert < layout.counts.size(); ++expert)
    for (std::size_t row = layout.begin(expert), i = 0; i < static_cast<std::size_t>(layout.counts[expert]);
         ++i, ++row) {
      owned[row] = true;
      const std::vector<double> one = expected(expert, row);
      wanted.insert(wanted.end(), one.begin(), one.end());
      got.insert(got.end(), c.begin() + static_cast<long>(row * width),
                 c.begin() + static_cast<long>((row + 1) * width));
    }
  bool untouched = true;
  for (std::size_t i = 0; i < c.size(); ++i) untouched &= owned[i / width] || c[i].bits == 0xFFFF;
  return {reference::relative_errors(got, wanted).worst, untouched};
}

/// What a GEMM is told besides its operands: where rows come from, their combine weights, the biases.
struct RowInputs {
  std::vector<float> scales;
  std::vector<int> from;
  std::vector<Bf16> bias;  ///< [experts, n]

  RowInputs(std::size_t rows, std::size_t biases, bool gathered, std::uint64_t seed)
      : scales(rows), from(rows), bias{random_bf16(biases, 3.0, seed, 4)} {
    Random random{seed, Purpose::test, 3, 0};
    for (std::size_t row = 0; row < rows; ++row) {
      scales[row] = static_cast<float>(random.uniform());
      from[row] = gathered ? static_cast<int>(random.below(static_cast<std::uint32_t>(rows))) : static_cast<int>(row);
    }
  }

  /// One row of products as the epilogue leaves it.
  template <Epilogue kEpilogue>
  std::vector<double> finished(std::vector<double> products, std::size_t expert, std::size_t row) const {
    const std::size_t n = products.size();
    if (is_biased(kEpilogue))
      for (std::size_t i = 0; i < n; ++i) products[i] += float_from(bias[expert * n + i]);
    if (kEpilogue == Epilogue::swiglu) return reference::swiglu(products, n);
    if (kEpilogue == Epilogue::clamped_swiglu) return reference::clamped_swiglu(products, n);
    for (double& value : products) value *= is_row_scaled(kEpilogue) ? static_cast<double>(scales[row]) : 1.0;
    return products;
  }
};

/// Runs one grouped GEMM on random input and compares it with the reference.
template <class Tile, Epilogue kEpilogue, Fault kFault = Fault::none>
GemmResult run_gemm(const Layout& layout, int n, int k, std::uint64_t seed, bool gathered = false) {
  const std::size_t experts = layout.counts.size(), rows = layout.rows();
  const auto depth = static_cast<std::size_t>(k), wide = static_cast<std::size_t>(n);
  const auto a = random_bf16(rows * depth, 1.0, seed, 1);
  const auto b = random_bf16(experts * wide * depth, 1.5 / std::sqrt(k), seed, 2);
  const RowInputs inputs{rows, experts * wide, gathered, seed};

  Buffer<Bf16> a_in{a}, b_in{b}, bias_in{inputs.bias}, c{rows * (is_gated(kEpilogue) ? wide / 2 : wide)};
  Buffer<float> scale_in{inputs.scales};
  Buffer<int> from_in{inputs.from};
  BuiltMap map{layout.counts, Tile::kRows, layout.capacity};
  const GroupedGemm gemm{
      a_in.data(),   gathered ? from_in.data() : nullptr, b_in.data(), c.data(), scale_in.data(), map.map(), n, k,
      bias_in.data()};
  emulation::launch({kBlocks, Tile::kThreads, Tile::kSharedBytes},
                    [&] { grouped_gemm<Tile, kEpilogue, kFault>(gemm); });
  return compare(layout, c.values(), [&](std::size_t expert, std::size_t row) {
    const auto x = std::span{a}.subspan(static_cast<std::size_t>(inputs.from[row]) * depth, depth);
    return inputs.finished<kEpilogue>(
        reference::multiply(x, std::span{b}.subspan(expert * wide * depth, wide * depth), depth), expert, row);
  });
}

}  // namespace moesim::cuda::testing
