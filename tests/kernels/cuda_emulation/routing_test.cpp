// The kernels around the expert FFN: router, counts, tile map, row assignment, gather and combine.

#include <algorithm>
#include <numeric>

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

std::vector<float> random_floats(std::size_t size, double scale, std::uint64_t seed, std::uint32_t stream) {
  Random random{seed, Purpose::test, stream, 0};
  std::vector<float> values(size);
  for (float& value : values) value = static_cast<float>(scale * random.normal());
  return values;
}

std::vector<int> random_choices(std::size_t slots, int experts, std::uint64_t seed) {
  Random random{seed, Purpose::test, 7, 0};
  std::vector<int> chosen(slots);
  for (int& expert : chosen) expert = static_cast<int>(random.below(static_cast<std::uint32_t>(experts)));
  return chosen;
}

double sigmoid_score(std::span<const float> logits, std::span<const float> bias, int expert) {
  const auto at = static_cast<std::size_t>(expert);
  return 1 / (1 + std::exp(-static_cast<double>(logits[at]))) + bias[at];
}

/// Runs the router on random logits and compares choices and weights with the reference.
template <int kPerLane, Scoring kScoring>
void check_router(int tokens, int experts, int k, int groups_kept = 0) {
  const std::uint64_t seed = fresh_seed();
  CAPTURE(seed, experts, k);
  const auto wide = static_cast<std::size_t>(experts), count = static_cast<std::size_t>(k);
  const auto logits = random_floats(static_cast<std::size_t>(tokens) * wide, 2.0, seed, 1);
  const auto bias = random_floats(wide, 0.1, seed, 2);
  Buffer<float> logits_in{logits}, bias_in{bias}, weights{static_cast<std::size_t>(tokens) * count};
  Buffer<int> chosen{static_cast<std::size_t>(tokens) * count};
  const Router router{logits_in.data(), bias_in.data(), tokens, experts, k, groups_kept, chosen.data(), weights.data()};
  emulation::launch({(tokens + 3) / 4, kRouterThreads}, [&] { router_topk<kPerLane, kScoring>(router); });
  for (std::size_t token = 0; token < static_cast<std::size_t>(tokens); ++token) {
    const auto row = std::span{logits}.subspan(token * wide, wide);
    const auto expected = kScoring == Scoring::softmax
                              ? reference::softmax_topk(row, count)
                              : reference::sigmoid_topk(row, bias, count, static_cast<std::size_t>(groups_kept));
    for (std::size_t j = 0; j < count; ++j) {
      const int expert = chosen.data()[token * count + j];
      if (kScoring == Scoring::sigmoid && expert != expected[j].expert) {  // fp32 may swap what fp64 tells apart
        CHECK(sigmoid_score(row, bias, expert) == Approx(sigmoid_score(row, bias, expected[j].expert)).epsilon(1e-6));
        continue;
      }
      CHECK(expert == expected[j].expert);
      CHECK(weights.data()[token * count + j] == Approx(expected[j].weight).epsilon(1e-5));
    }
  }
}

}  // namespace

TEST_CASE("The router chooses and weighs as the reference does", "[kernels]") {
  check_router<1, Scoring::softmax>(9, 8, 2);       // Mixtral
  check_router<4, Scoring::softmax>(9, 128, 8);     // Qwen3-235B
  check_router<4, Scoring::softmax>(3, 100, 32);    // experts that leave lanes without one, the largest k
  check_router<8, Scoring::sigmoid>(9, 256, 8);     // DeepSeek-V3 without
  check_router<8, Scoring::sigmoid>(9, 256, 8, 4);  // and with its limit of groups
}

TEST_CASE("Of equal scores the router takes the lower expert", "[kernels]") {
  Buffer<float> logits{std::vector<float>(64, 0.5f)}, weights{3};
  Buffer<int> chosen{3};
  const Router router{logits.data(), nullptr, 1, 64, 3, 0, chosen.data(), weights.data()};
  emulation::launch({1, kRouterThreads}, [&] { router_topk<2, Scoring::softmax>(router); });
  CHECK(chosen.values() == std::vector<int>{0, 1, 2});
}

TEST_CASE("Counts per expert are those of the choices", "[kernels]") {
  const std::uint64_t seed = fresh_seed();
  CAPTURE(seed);
  const auto chosen = random_choices(1000, 37, seed);
  Buffer<int> in{chosen}, counts{37};
  counts.fill(0);
  emulation::launch({3, 64, 37 * 4}, [&] { count_experts(in.data(), 1000, 37, counts.data()); });
  for (int expert = 0; expert < 37; ++expert)
    CHECK(counts.data()[expert] == std::count(chosen.begin(), chosen.end(), expert));
}

TEST_CASE("The tile map covers every row once in both layouts", "[kernels]") {
  // 3 tiles of 16 for 33 rows, 1 for 16, 0, 1 for 1: 5 tiles
  BuiltMap contiguous{{33, 16, 0, 1}, 16, 0}, masked{{33, 16, 0, 1}, 16, 32};
  CHECK(contiguous.tiles.values() == std::vector<int>{5});
  CHECK(masked.tiles.values() == std::vector<int>{4});  // the 33rd row is over the capacity
  const std::vector<int> begins{0, 33, 49, 49}, firsts{0, 3, 4, 4}, rows{33, 16, 0, 1};
  for (std::size_t e = 0; e < 4; ++e) {
    CHECK(contiguous.experts.data()[e].row_begin == begins[e]);
    CHECK(contiguous.experts.data()[e].first_tile == firsts[e]);
    CHECK(contiguous.experts.data()[e].rows == rows[e]);
    CHECK(masked.experts.data()[e].row_begin == static_cast<int>(e) * 32);
    CHECK(masked.experts.data()[e].rows == std::min(rows[e], 32));
  }
  CHECK(std::vector<int>(contiguous.tile_expert.data(), contiguous.tile_expert.data() + 5) ==
        std::vector<int>{0, 0, 0, 1, 3});
}

TEST_CASE("A tile map of more experts than its block has threads continues where it was", "[kernels]") {
  std::vector<int> counts(600);
  for (std::size_t e = 0; e < counts.size(); ++e) counts[e] = static_cast<int>(e % 5) * 7;
  BuiltMap map{counts, 16, 0};
  int row = 0, tile = 0;
  bool right = true;
  for (std::size_t e = 0; e < counts.size(); ++e) {
    const ExpertRows own = map.experts.data()[e];
    right &= own.row_begin == row && own.first_tile == tile && own.tiles == (counts[e] + 15) / 16;
    for (int i = 0; i < own.tiles; ++i) right &= map.tile_expert.data()[tile + i] == static_cast<int>(e);
    row += own.rows;
    tile += own.tiles;
  }
  CHECK(right);
  CHECK(map.tiles.values().front() == tile);
}

TEST_CASE("Work items of a map are every row tile of every column once", "[kernels]") {
  BuiltMap map{{33, 16, 0, 1}, 16, 0};
  std::vector<std::vector<int>> seen(3, std::vector<int>(50, 0));
  for (int item = 0; item < 5 * 3; ++item) {
    const TileAt tile = tile_at(map.map(), item, 3, 16);
    for (int i = 0; i < std::min(tile.rows, 16); ++i)
      ++seen[static_cast<std::size_t>(tile.column)][static_cast<std::size_t>(tile.row + i)];
  }
  for (const auto& column : seen) CHECK(column == std::vector<int>(50, 1));
}

TEST_CASE("Every slot gets a row of its expert and no row has two slots", "[kernels]") {
  const std::uint64_t seed = fresh_seed();
  const int capacity = GENERATE(0, 20);  // 300 slots over 11 experts: some have more than 20
  CAPTURE(seed, capacity);
  const auto chosen = random_choices(300, 11, seed);
  std::vector<int> counts(11);
  for (const int expert : chosen) ++counts[static_cast<std::size_t>(expert)];
  BuiltMap map{counts, 16, capacity};
  const std::size_t rows = capacity > 0 ? 11 * 20 : 300;
  Buffer<int> chosen_in{chosen}, cursors{11}, row_of_slot{300}, token_of_row{rows};
  Buffer<float> weights{random_floats(300, 1.0, seed, 8)}, weight_of_row{rows};
  cursors.fill(0);
  const RowAssignment work{
      chosen_in.data(),    weights.data(),      300, 3, map.experts.data(), cursors.data(), row_of_slot.data(),
      token_of_row.data(), weight_of_row.data()};
  emulation::launch({2, 64}, [&] { assign_rows(work); });
  std::vector<int> used(rows, 0);
  int dropped = 0, expected_dropped = 0;
  for (const int count : counts) expected_dropped += capacity > 0 ? std::max(count - capacity, 0) : 0;
  for (std::size_t slot = 0; slot < 300; ++slot) {
    const int row = row_of_slot.data()[slot];
    if (row < 0) {
      ++dropped;
      continue;
    }
    const ExpertRows own = map.experts.data()[chosen[slot]];
    CHECK((row >= own.row_begin && row < own.row_begin + own.rows));
    CHECK(token_of_row.data()[row] == static_cast<int>(slot / 3));
    CHECK(weight_of_row.data()[row] == weights.data()[slot]);
    ++used[static_cast<std::size_t>(row)];
  }
  CHECK(dropped == expected_dropped);
  CHECK(*std::max_element(used.begin(), used.end()) == 1);
}

TEST_CASE("Gathering copies the token of each row and leaves the rest alone", "[kernels]") {
  const std::uint64_t seed = fresh_seed();
  CAPTURE(seed);
  const auto x = random_bf16(10 * 64, 1.0, seed, 1);
  BuiltMap map{{17, 0, 3}, 16, 20};
  Buffer<Bf16> in{x}, out{60 * 64};
  Buffer<int> tokens{random_choices(60, 10, seed)};
  emulation::launch({2, kGatherThreads}, [&] { gather_rows(in.data(), tokens.data(), map.map(), 16, 64, out.data()); });
  bool right = true;
  for (std::size_t row = 0; row < 60; ++row)
    for (std::size_t i = 0; i < 64; ++i) {
      const bool owned = row < 17 || (row >= 40 && row < 43);
      const auto token = static_cast<std::size_t>(tokens.data()[row]);
      right &= out.data()[row * 64 + i].bits == (owned ? x[token * 64 + i].bits : 0xFFFF);
    }
  CHECK(right);
}

TEST_CASE("Combining sums the rows of a token and skips dropped slots", "[kernels]") {
  const std::uint64_t seed = fresh_seed();
  CAPTURE(seed);
  const auto y = random_bf16(20 * 136, 1.0, seed, 1);
  auto rows = random_choices(7 * 3, 20, seed);
  rows[4] = -1;
  Buffer<Bf16> in{y}, out{7 * 136};
  Buffer<int> rows_in{rows};
  emulation::launch({2, kCombineThreads}, [&] { combine(in.data(), rows_in.data(), 7, 3, 136, out.data()); });
  std::vector<double> expected(7 * 136, 0.0);
  for (std::size_t slot = 0; slot < rows.size(); ++slot)
    for (std::size_t i = 0; i < 136 && rows[slot] >= 0; ++i)
      expected[slot / 3 * 136 + i] += float_from(y[static_cast<std::size_t>(rows[slot]) * 136 + i]);
  CHECK(reference::relative_errors(out.values(), expected).worst <= kTolerance);
}
