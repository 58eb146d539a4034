#include "models/kernels/cuda/device_pool.hpp"

#include <algorithm>
#include <limits>
#include <new>

#include "models/kernels/cuda/device_memory.cuh"
#include "models/kernels/cuda/fill_words.hpp"

namespace moesim::cuda {
namespace {

constexpr std::size_t kMost = std::size_t{24} << 30, kLeast = std::size_t{64} << 20;
constexpr std::size_t kUnknownCache = std::size_t{64} << 20;
constexpr std::size_t kCachesBetween = 5;
constexpr std::uint32_t kSeed = 1;

}  // namespace

DevicePool::DevicePool(const cudaDeviceProp& device)
    : cache_{device.l2CacheSize > 0 ? static_cast<std::size_t>(device.l2CacheSize) : kUnknownCache} {
  std::size_t free = 0, all = 0;
  check(cudaMemGetInfo(&free, &all), "free memory");
  for (std::size_t wanted = std::min(kMost, free / 5 * 3) / kLeast * kLeast; wanted >= kLeast;
       wanted = wanted / 2 / kLeast * kLeast) {
    if (cudaMalloc(&memory_, wanted) == cudaSuccess) {
      bytes_ = wanted;
      return;
    }
    cudaGetLastError();
  }
  throw std::bad_alloc{};
}

DevicePool::~DevicePool() {
  cudaFree(memory_);
}

MemoryRing DevicePool::ring(std::size_t bytes, std::size_t touched, WordPattern words) {
  const std::size_t stride = aligned(std::max<std::size_t>(bytes, 1));
  if (stride > bytes_) throw std::bad_alloc{};
  if (words != words_) check(fill_words(memory_, bytes_, words, kSeed, nullptr), "weights");
  check(cudaDeviceSynchronize(), "weights");
  words_ = words;
  const std::size_t wanted = kCachesBetween * cache_ / std::max<std::size_t>(touched, 1) + 2;
  const std::size_t sets = std::min(wanted, bytes_ / stride);
  if (sets + 1 < wanted) ++short_rings_;
  return {memory_, stride, static_cast<int>(std::min<std::size_t>(sets, std::numeric_limits<int>::max()))};
}

}  // namespace moesim::cuda
