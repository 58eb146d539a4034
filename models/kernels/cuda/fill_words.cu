// Random words for weights, caches and activations: zeros would be multiplied faster than real data.

#include "models/kernels/cuda/fill_words.hpp"

namespace moesim::cuda {
namespace {

/// Each word from its own number, mixed as MurmurHash3 ends (Appleby, 2011): any thread may write any word.
__global__ void fill(std::uint32_t* words, std::size_t size, WordPattern pattern, std::uint32_t seed) {
  const std::size_t stride = std::size_t{gridDim.x} * blockDim.x;
  for (std::size_t at = blockIdx.x * std::size_t{blockDim.x} + threadIdx.x; at < size; at += stride) {
    auto z = static_cast<std::uint32_t>(at ^ (at >> 32)) ^ seed;
    z = (z ^ (z >> 16)) * 0x85EBCA6Bu;
    z = (z ^ (z >> 13)) * 0xC2B2AE35u;
    words[at] = ((z ^ (z >> 16)) & pattern.keep) | pattern.set;
  }
}

}  // namespace

cudaError_t fill_words(void* memory, std::size_t bytes, WordPattern pattern, std::uint32_t seed, cudaStream_t stream) {
  constexpr unsigned kBlocks = 2048, kThreads = 256;
  fill<<<kBlocks, kThreads, 0, stream>>>(static_cast<std::uint32_t*>(memory), bytes / sizeof(std::uint32_t), pattern,
                                         seed);
  return cudaGetLastError();
}

}  // namespace moesim::cuda
