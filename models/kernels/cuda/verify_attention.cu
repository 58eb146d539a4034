#include <algorithm>

#include "models/kernels/cuda/attention_case.hpp"
#include "models/kernels/cuda/attention_kernels.hpp"
#include "models/kernels/cuda/device_memory.cuh"
#include "models/kernels/cuda/reference.hpp"

namespace moesim::cuda {
namespace {

std::vector<Bf16> run(const AttentionVariant& variant, const AttentionCase& input, int heads, int kv_heads,
                      int split_tokens, int blocks) {
  const int sequences = static_cast<int>(input.lengths().size());
  const auto all_heads = static_cast<std::size_t>(sequences * heads),
             dims = static_cast<std::size_t>(variant.value_dims);
  DeviceArray<Bf16> q{input.q()}, keys{input.keys()}, values{input.values()}, out{all_heads * dims};
  DeviceArray<int> pages{input.pages()};
  DeviceTileMap splits{input.lengths(), split_tokens, 0};
  std::size_t parts = 0;  // splits x heads
  for (const int length : input.lengths())
    parts += static_cast<std::size_t>((length + split_tokens - 1) / split_tokens * heads);
  DeviceArray<float> partial{parts * dims}, weight{parts};
  const DecodeAttention attention{q.data(),
                                  keys.data(),
                                  values.data(),
                                  pages.data(),
                                  input.pages_per_sequence(),
                                  heads,
                                  kv_heads,
                                  block_heads(variant, heads, kv_heads),
                                  input.scale(),
                                  splits.map(),
                                  split_tokens,
                                  partial.data(),
                                  weight.data()};
  check(launch(variant.kernel, attention, blocks, nullptr), variant.name);
  check(launch_combine_splits(attention, sequences, variant.value_dims, out.data(), nullptr), "combine_splits");
  return out.values();
}

}  // namespace

double verify(const AttentionVariant& variant, const cudaDeviceProp& device, std::uint64_t seed) {
  int blocks = 0;
  check(prepare(variant.kernel, device, blocks), variant.name);
  const int kv_heads = variant.latent ? 1 : 2, heads = variant.latent ? 2 * variant.most_heads : 16;
  const auto uniform = [&] { return static_cast<double>(next_bits(seed) >> 11) * 0x1p-53; };
  const AttentionCase input{
      {variant.key_dims, variant.value_dims, variant.latent, heads, kv_heads}, {0, 1, 63, 64, 65, 700, 300}, uniform};
  const std::vector<double> expected = input.expected();
  double worst = 0;
  for (const int split_tokens : {64, 192, 1024})
    for (const int grid : {3, blocks}) {  // few blocks run several splits each
      const auto errors =
          reference::relative_errors(run(variant, input, heads, kv_heads, split_tokens, grid), expected);
      worst = std::max({worst, errors.mean, errors.worst / 2});
    }
  return worst;
}

}  // namespace moesim::cuda
