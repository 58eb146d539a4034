#pragma once
// Device memory that frees itself, for the programs of this folder.

#include <cstdint>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <cuda_runtime.h>

#include "models/kernels/cuda/expert_kernels.hpp"

namespace moesim::cuda {

/// Throws std::bad_alloc when the device's memory does not do, else std::runtime_error with what was tried and what the
/// driver says.
inline void check(cudaError_t status, const char* what) {
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();  // or the next call would report it again
    throw std::bad_alloc{};
  }
  if (status != cudaSuccess) throw std::runtime_error{std::string{what} + ": " + cudaGetErrorString(status)};
}

/// An array on the device; its bytes are all ones (NaN, -1) until written.
template <class T>
class DeviceArray {
public:
  explicit DeviceArray(std::size_t size) : size_{size} {
    check(cudaMalloc(&data_, size * sizeof(T)), "device memory");
    check(cudaMemset(data_, 0xFF, size * sizeof(T)), "poison");
  }
  explicit DeviceArray(const std::vector<T>& values) : DeviceArray{values.size()} {
    check(cudaMemcpy(data_, values.data(), size_ * sizeof(T), cudaMemcpyHostToDevice), "copy to the device");
  }
  ~DeviceArray() { cudaFree(data_); }
  DeviceArray(DeviceArray&& other) noexcept : data_{std::exchange(other.data_, nullptr)}, size_{other.size_} {}
  DeviceArray& operator=(DeviceArray&&) = delete;

  T* data() { return data_; }
  const T* data() const { return data_; }
  std::size_t size() const { return size_; }
  /// Waits for the device.
  std::vector<T> values() const {
    std::vector<T> host(size_);
    check(cudaMemcpy(host.data(), data_, size_ * sizeof(T), cudaMemcpyDeviceToHost), "copy from the device");
    return host;
  }

private:
  T* data_ = nullptr;
  std::size_t size_;
};

/// A tile map on the device for `counts` rows per expert.
class DeviceTileMap {
public:
  DeviceTileMap(const std::vector<int>& counts, int tile_rows, int capacity)
      : counts_{counts}, experts_{counts.size()}, tile_expert_{tiles_of(counts, tile_rows)}, tiles_{1} {
    check(launch_tile_map(counts_.data(), static_cast<int>(counts.size()), tile_rows, capacity, map(), nullptr),
          "tile map");
  }
  TileMap map() { return {experts_.data(), tile_expert_.data(), tiles_.data()}; }

private:
  static std::size_t tiles_of(const std::vector<int>& counts, int tile_rows) {
    std::size_t tiles = 0;
    for (const int count : counts) tiles += static_cast<std::size_t>((count + tile_rows - 1) / tile_rows);
    return tiles;
  }

  DeviceArray<int> counts_;
  DeviceArray<ExpertRows> experts_;
  DeviceArray<int> tile_expert_, tiles_;
};

/// The next of a sequence of 64 random bits. Source: SplitMix64, Steele, Lea and Flood, OOPSLA 2014.
inline std::uint64_t next_bits(std::uint64_t& state) {
  std::uint64_t z = state += 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

}  // namespace moesim::cuda
