#pragma once
// Inputs for the kernels under test, and how far results may be off.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <vector>

#include "models/kernels/cuda/build_tile_map.cuh"
#include "models/kernels/cuda/reference.hpp"
#include "models/units/random.hpp"
#include "tests/kernels/cuda_emulation/faults_testing.hpp"

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

}  // namespace moesim::cuda::testing
