#include "models/kernels/cuda/operations.hpp"

#include <span>
#include <stdexcept>

#include "models/kernels/cuda/attention_operation.hpp"
#include "models/kernels/cuda/norm_operation.hpp"
#include "models/kernels/cuda/variant_gemm_kernel.hpp"
#include "models/kernels/cuda/wgmma_kernels.hpp"

namespace moesim::cuda {
namespace {

const AttentionVariant& attention(const std::string& name) {
  for (const AttentionVariant& variant : attention_variants())
    if (variant.name == name) return variant;
  throw std::logic_error{"no attention kernel " + name};
}

}  // namespace

const std::vector<std::unique_ptr<GemmKernel>>& gemm_kernels() {
  static const auto all = [] {
    std::vector<std::unique_ptr<GemmKernel>> kernels;
    const auto add = [&](std::span<const GemmVariant> variants, bool hopper) {
      for (const GemmVariant& variant : variants)
        kernels.push_back(std::make_unique<VariantGemmKernel>(variant, hopper));
    };
    add(gemm_variants(), false);
    add(wgmma_variants(), true);
    add(decode_variants(), false);
    return kernels;
  }();
  return all;
}

const std::vector<std::unique_ptr<Operation>>& operations() {
  using Heads = std::vector<AttentionOperation::Heads>;
  static const auto all = [] {
    const Heads wide{{64, 4}, {32, 8}}, narrow{{64, 8}};   // Qwen3-235B and Mixtral, gpt-oss
    const Heads latent{{128, 1}}, latent_shared{{16, 1}};  // DeepSeek-V3 alone, and split over 8 GPUs
    std::vector<std::unique_ptr<Operation>> list;
    const auto add = [&](const char* name, const Heads& heads, const char* unless = nullptr) {
      list.push_back(std::make_unique<AttentionOperation>(attention(name), heads,
                                                          unless == nullptr ? nullptr : &attention(unless)));
    };
    add("gqa_128", wide);
    add("gqa_128_shallow", wide, "gqa_128");
    add("gqa_64", narrow);
    add("mla_64", latent);
    add("mla_64_shallow", latent, "mla_64");
    add("mla_16", latent_shared);
    list.push_back(std::make_unique<NormOperation>());
    return list;
  }();
  return all;
}

}  // namespace moesim::cuda
