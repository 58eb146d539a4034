// The whole chain of one MoE layer on one rank, as it is launched on a device, against fp64 from the logits on.

#include "models/kernels/cuda/expert_ffn.cuh"

#include "models/kernels/cuda/combine.cuh"
#include "models/kernels/cuda/expert_rows.cuh"
#include "models/kernels/cuda/gather_rows.cuh"
#include "models/kernels/cuda/router_topk.cuh"
#include "tests/catch_compat.hpp"
#include "tests/kernels/cuda_emulation/ffn_testing.hpp"

using namespace moesim;
using namespace moesim::cuda;
using namespace moesim::cuda::testing;

namespace {

constexpr int kTokens = 29, kExperts = 6, kChoices = 2, kHidden = 128, kInner = 128, kSlots = kTokens * kChoices;

struct Layer {
  std::vector<Bf16> x, w13, w2;
  std::vector<float> logits;

  explicit Layer(std::uint64_t seed)
      : x{random_bf16(kTokens * kHidden, 1.0, seed, 1)},
        w2{random_bf16(kExperts * kHidden * kInner, 1 / std::sqrt(kInner), seed, 3)},
        logits(kTokens * kExperts) {
    const auto gate = random_bf16(kExperts * kInner * kHidden, 2 / std::sqrt(kHidden), seed, 4);
    const auto up = random_bf16(kExperts * kInner * kHidden, 2 / std::sqrt(kHidden), seed, 5);
    w13 = reference::interleave(gate, up, kHidden);  // per expert too: i divides by 8
    Random random{seed, Purpose::test, 6, 0};
    for (std::size_t i = 0; i < logits.size(); ++i)  // the last expert gets no token
      logits[i] = i % kExperts == kExperts - 1 ? -50.0f : static_cast<float>(random.normal());
  }

  std::vector<double> expected() const {
    std::vector<double> out(kTokens * kHidden, 0.0);
    for (std::size_t token = 0; token < kTokens; ++token)
      for (const auto& choice :
           reference::softmax_topk(std::span{logits}.subspan(token * kExperts, kExperts), kChoices)) {
        const auto y = expert(token, static_cast<std::size_t>(choice.expert));
        for (std::size_t i = 0; i < kHidden; ++i) out[token * kHidden + i] += choice.weight * y[i];
      }
    return out;
  }

private:
  /// The hidden values are rounded to bf16 between the GEMMs, as in the kernels.
  std::vector<double> expert(std::size_t token, std::size_t index) const {
    const auto products =
        reference::multiply(std::span{x}.subspan(token * kHidden, kHidden),
                            std::span{w13}.subspan(index * 2 * kInner * kHidden, 2 * kInner * kHidden), kHidden);
    std::vector<Bf16> hidden;
    for (const double value : reference::swiglu(products, 2 * kInner))
      hidden.push_back(bf16_from(static_cast<float>(value)));
    return reference::multiply(hidden, std::span{w2}.subspan(index * kHidden * kInner, kHidden * kInner), kInner);
  }
};

/// Router, counts, map, rows, GEMM1, GEMM2, combine. `gathers`: GEMM1 reads rows through indices instead of a copy.
template <class Tile>
std::vector<Bf16> run(const Layer& layer, int capacity, bool gathers) {
  const std::size_t rows = capacity > 0 ? static_cast<std::size_t>(kExperts * capacity) : kSlots;
  Buffer<Bf16> x{layer.x}, w13{layer.w13}, w2{layer.w2};
  Buffer<Bf16> permuted{rows * kHidden}, hidden{rows * kInner}, y{rows * kHidden}, out{kTokens * kHidden};
  Buffer<float> logits{layer.logits}, weights{kSlots}, weight_of_row{rows};
  Buffer<int> chosen{kSlots}, counts{kExperts}, cursors{kExperts}, row_of_slot{kSlots}, token_of_row{rows};
  counts.fill(0);
  cursors.fill(0);
  const Router router{logits.data(), nullptr, kTokens, kExperts, kChoices, 0, chosen.data(), weights.data()};
  emulation::launch({(kTokens + 3) / 4, kRouterThreads}, [&] { router_topk<1, Scoring::softmax>(router); });
  emulation::launch({2, 64, kExperts * 4}, [&] { count_experts(chosen.data(), kSlots, kExperts, counts.data()); });
  BuiltMap map{counts.values(), Tile::kRows, capacity};
  const RowAssignment assignment{chosen.data(),      weights.data(),      kSlots,
                                 kChoices,           map.experts.data(),  cursors.data(),
                                 row_of_slot.data(), token_of_row.data(), weight_of_row.data()};
  emulation::launch({1, 64}, [&] { assign_rows(assignment); });
  if (!gathers)
    emulation::launch({kBlocks, kGatherThreads}, [&] {
      gather_rows(x.data(), token_of_row.data(), map.map(), Tile::kRows, kHidden, permuted.data());
    });
  const GroupedGemm first{gathers ? x.data() : permuted.data(),
                          gathers ? token_of_row.data() : nullptr,
                          w13.data(),
                          hidden.data(),
                          nullptr,
                          map.map(),
                          2 * kInner,
                          kHidden};
  const GroupedGemm second{hidden.data(),        nullptr,   w2.data(), y.data(),
                           weight_of_row.data(), map.map(), kHidden,   kInner};
  const emulation::Launch gemm{kBlocks, Tile::kThreads, Tile::kSharedBytes};
  emulation::launch(gemm, [&] { grouped_gemm<Tile, Epilogue::swiglu>(first); });
  emulation::launch(gemm, [&] { grouped_gemm<Tile, Epilogue::row_scaled>(second); });
  emulation::launch({2, kCombineThreads},
                    [&] { combine(y.data(), row_of_slot.data(), kTokens, kChoices, kHidden, out.data()); });
  return out.values();
}

}  // namespace

TEMPLATE_TEST_CASE("A whole MoE layer agrees with fp64 in both layouts and with both ways to gather", "[kernels]",
                   Tile16, Tile32, Tile64, Tile128) {
  const std::uint64_t seed = fresh_seed();
  const int capacity = GENERATE(0, 32);  // 29 tokens: nothing is dropped
  const bool gathers = GENERATE(false, true);
  CAPTURE(seed, capacity, gathers);
  const Layer layer{seed};
  const auto error = reference::relative_errors(run<TestType>(layer, capacity, gathers), layer.expected());
  CHECK(error.mean <= kTolerance);
  CHECK(error.worst <= 8 * kTolerance);  // the rows of each choice, too, are rounded before they are summed
}
