#include "models/kernels/cuda/attention_operation.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "models/kernels/cuda/device_memory.cuh"
#include "models/kernels/cuda/fill_words.hpp"

namespace moesim::cuda {
namespace {

struct Sizes {
  int batch, length, heads, kv_heads;
};

Sizes sizes_of(const OperationCase& size) {
  const auto get = [&](const char* name) {
    const auto found =
        std::find_if(size.sizes.begin(), size.sizes.end(), [&](const auto& entry) { return entry.first == name; });
    return static_cast<int>(found->second);
  };
  return {get("batch"), get("length"), get("heads"), get("kv_heads")};
}

std::size_t key_elements(const AttentionVariant& variant, const Sizes& sizes) {
  const std::size_t pages = static_cast<std::size_t>(sizes.length + kPageTokens - 1) / kPageTokens;
  return static_cast<std::size_t>(sizes.batch) * pages * kPageTokens * static_cast<std::size_t>(sizes.kv_heads) *
         static_cast<std::size_t>(variant.key_dims);
}

/// Tokens of a split: as many splits as give every block of the device two.
int split_tokens(const AttentionVariant& variant, const Sizes& sizes, int blocks) {
  const int per_split = sizes.heads / block_heads(variant, sizes.heads, sizes.kv_heads);
  const std::int64_t all = std::int64_t{sizes.batch} * sizes.length * per_split;
  const std::int64_t pages = all / (2 * std::int64_t{blocks}) / kPageTokens;
  return static_cast<int>(std::clamp<std::int64_t>(pages, 1, (sizes.length + kPageTokens - 1) / kPageTokens)) *
         kPageTokens;
}

std::vector<int> all_pages(const Sizes& sizes) {
  std::vector<int> pages(static_cast<std::size_t>(sizes.batch) *
                         (static_cast<std::size_t>(sizes.length + kPageTokens - 1) / kPageTokens));
  std::iota(pages.begin(), pages.end(), 0);
  return pages;
}

class AttentionWork final : public Work {
public:
  AttentionWork(const AttentionVariant& variant, const Sizes& sizes, const MemoryRing& cold, int blocks)
      : variant_{variant},
        sizes_{sizes},
        cold_{cold},
        blocks_{blocks},
        split_{split_tokens(variant, sizes, blocks)},
        q_{heads() * static_cast<std::size_t>(variant.key_dims)},
        out_{heads() * static_cast<std::size_t>(variant.value_dims)},
        pages_{all_pages(sizes)},
        partial_{parts() * static_cast<std::size_t>(variant.value_dims)},
        weight_{parts()},
        splits_{std::vector<int>(static_cast<std::size_t>(sizes.batch), sizes.length), split_, 0} {
    check(fill_words(q_.data(), q_.size() * sizeof(Bf16), {}, 3, nullptr), "queries");
    check(cudaDeviceSynchronize(), "queries");
  }

  void launch(int call, cudaStream_t stream) override {
    const auto* keys = reinterpret_cast<const Bf16*>(cold_.at(call));
    const DecodeAttention attention{q_.data(),
                                    keys,
                                    variant_.latent ? nullptr : keys + key_elements(variant_, sizes_),
                                    pages_.data(),
                                    (sizes_.length + kPageTokens - 1) / kPageTokens,
                                    sizes_.heads,
                                    sizes_.kv_heads,
                                    block_heads(variant_, sizes_.heads, sizes_.kv_heads),
                                    static_cast<float>(1 / std::sqrt(static_cast<double>(variant_.key_dims))),
                                    splits_.map(),
                                    split_,
                                    partial_.data(),
                                    weight_.data()};
    check(cuda::launch(variant_.kernel, attention, blocks_, stream), variant_.name);
    check(launch_combine_splits(attention, sizes_.batch, variant_.value_dims, out_.data(), stream), "combine_splits");
  }

private:
  std::size_t heads() const { return static_cast<std::size_t>(sizes_.batch) * static_cast<std::size_t>(sizes_.heads); }
  std::size_t parts() const { return heads() * static_cast<std::size_t>((sizes_.length + split_ - 1) / split_); }

  const AttentionVariant& variant_;
  Sizes sizes_;
  MemoryRing cold_;
  int blocks_, split_;
  DeviceArray<Bf16> q_, out_;
  DeviceArray<int> pages_;
  DeviceArray<float> partial_, weight_;
  DeviceTileMap splits_;
};

}  // namespace

bool AttentionOperation::fits(const cudaDeviceProp& device) const {
  return fits_device(variant_.kernel, device) && (unless_ == nullptr || !fits_device(unless_->kernel, device));
}

double AttentionOperation::verify(const cudaDeviceProp& device, std::uint64_t seed) const {
  return cuda::verify(variant_, device, seed);
}

std::vector<OperationCase> AttentionOperation::cases() const {
  constexpr std::size_t kMostBytes = std::size_t{3} << 30;
  std::vector<OperationCase> all;
  for (const int length : {4096, 1024, 16384, 256})
    for (const int batch : {32, 128, 8, 1})
      for (const auto& [heads, kv_heads] : heads_) {
        const Sizes sizes{batch, length, heads, kv_heads};
        const std::size_t bytes = sizeof(Bf16) * key_elements(variant_, sizes) * (variant_.latent ? 1 : 2);
        if (bytes > kMostBytes) continue;
        const std::uint64_t products = std::uint64_t{2} * static_cast<std::uint64_t>(batch) *
                                       static_cast<std::uint64_t>(length) * static_cast<std::uint64_t>(heads) *
                                       static_cast<std::uint64_t>(variant_.key_dims + variant_.value_dims);
        all.push_back({{{"batch", batch},
                        {"length", length},
                        {"heads", heads},
                        {"kv_heads", kv_heads},
                        {"key_dims", variant_.key_dims},
                        {"value_dims", variant_.value_dims}},
                       bytes,
                       products,
                       bytes});
      }
  return all;
}

std::unique_ptr<Work> AttentionOperation::make(const OperationCase& size, const MemoryRing& cold,
                                               const cudaDeviceProp& device) const {
  int blocks = 0;
  check(prepare(variant_.kernel, device, blocks), variant_.name);
  return std::make_unique<AttentionWork>(variant_, sizes_of(size), cold, blocks);
}

}  // namespace moesim::cuda
