#pragma once
// The device memory that stays cold: one large block of random words, seen as a ring of sets of any size.

#include <cstddef>

#include <cuda_runtime.h>

#include "models/kernels/cuda/operations.hpp"

namespace moesim::cuda {

class DevicePool {
public:
  /// 24 GiB, or as much as leaves two fifths of the free memory. Throws std::bad_alloc when not even 64 MiB are to be
  /// had.
  explicit DevicePool(const cudaDeviceProp& device);
  ~DevicePool();
  DevicePool(const DevicePool&) = delete;
  DevicePool& operator=(const DevicePool&) = delete;

  std::size_t bytes() const { return bytes_; }
  std::byte* memory() const { return memory_; }

  /// Sets of `bytes`, filled with `words`, of which a call reads `touched`: as many as let five L2 caches go by between
  /// two readings, and fewer (which is counted) when the pool is too small. Throws std::bad_alloc without room for one.
  MemoryRing ring(std::size_t bytes, std::size_t touched, WordPattern words);

  /// Rings whose sets come again before five caches went by.
  int short_rings() const { return short_rings_; }

private:
  std::size_t cache_;
  std::size_t bytes_ = 0;
  std::byte* memory_ = nullptr;
  WordPattern words_{0, 0};
  int short_rings_ = 0;
};

/// Rounded up to what starts a set.
constexpr std::size_t aligned(std::size_t bytes) {
  constexpr std::size_t kAlignment = 256;
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

}  // namespace moesim::cuda
