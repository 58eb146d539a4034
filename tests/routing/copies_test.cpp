#include <numeric>

#include "models/routing/shares.hpp"
#include "models/units/random.hpp"
#include "tests/catch_compat.hpp"
#include "tests/routing/models.hpp"

using namespace moesim;
using namespace moesim::testing;

namespace {

/// Expected distinct ranks of a token when experts lie on `ranks` in order, one slot each.
double copies(const MoeSpec& moe, const std::vector<double>& inclusion, int ranks) {
  std::vector<int> expert_of(inclusion.size()), set_of(inclusion.size());
  std::iota(expert_of.begin(), expert_of.end(), 0);
  for (std::size_t s = 0; s < set_of.size(); ++s)
    set_of[s] = static_cast<int>(s * static_cast<std::size_t>(ranks) / set_of.size());
  const auto chances = distinct_copies(moe.router, inclusion, moe.top_k, expert_of, set_of, ranks);
  return std::accumulate(chances.begin(), chances.end(), 0.0);
}

double uniform_copies(const Architecture& model, int ranks) {
  const auto& moe = *model.moe;
  return copies(moe, std::vector<double>(static_cast<std::size_t>(moe.experts), 1.0 * moe.top_k / moe.experts), ranks);
}

}  // namespace

TEST_CASE("Uniform routing reaches R (1 - C(E - E/R, k)/C(E, k)) ranks", "[routing]") {
  const double v3[][2] = {{2, 1.9930}, {4, 3.6142}, {8, 5.2947}, {16, 6.5233}, {32, 7.2668}, {64, 7.6758}};
  for (const auto& [ranks, expected] : v3)
    CHECK(std::abs(uniform_copies(ungrouped_v3(), static_cast<int>(ranks)) - expected) < 1e-4);
  const double mixtral_copies[][2] = {{2, 1.5714}, {4, 1.8571}, {8, 2.0}};
  for (const auto& [ranks, expected] : mixtral_copies)
    CHECK(std::abs(uniform_copies(mixtral(), static_cast<int>(ranks)) - expected) < 1e-4);
  CHECK(std::abs(uniform_copies(moe_model("qwen3-235b", 94, 0, 128, 8), 8) - 5.3394) < 1e-4);
  // exactly: 1 - C(224, 8)/C(256, 8) = 1 - prod (224 - i)/(256 - i)
  double none = 1;
  for (int i = 0; i < 8; ++i) none *= (224.0 - i) / (256.0 - i);
  CHECK(uniform_copies(ungrouped_v3(), 8) == Approx(8 * (1 - none)).epsilon(1e-12));
}

TEST_CASE("Four kept groups of eight reach 3.6290 nodes", "[routing]") {
  // 4 (1 - C(96, 8)/C(128, 8)): the kept groups are one set in which the 8 experts are drawn
  double none = 1;
  for (int i = 0; i < 8; ++i) none *= (96.0 - i) / (128.0 - i);
  CHECK(uniform_copies(deepseek_v3(), 8) == Approx(4 * (1 - none)).epsilon(1e-12));
  CHECK(std::abs(uniform_copies(deepseek_v3(), 8) - 3.6290) < 1e-4);
}

TEST_CASE("A replicated expert marks a rank by the share of it that lives there", "[routing]") {
  // top 1 of 2, pi = 0.6 and 0.4; expert 0 on ranks 0, 0 and 1, expert 1 on rank 1:
  // rank 0 gets 0.6 * 2/3 = 0.4, rank 1 gets 0.6/3 + 0.4 = 0.6
  const auto chances = distinct_copies({}, std::vector<double>{0.6, 0.4}, 1, std::vector<int>{0, 0, 0, 1},
                                       std::vector<int>{0, 0, 1, 1}, 2);
  CHECK(chances[0] == Approx(0.4));
  CHECK(chances[1] == Approx(0.6));
}

TEST_CASE("Empty slots and slots outside every set change nothing", "[routing]") {
  // top 2 of 2: both always; -1 is an empty slot, set -1 none
  const auto chances =
      distinct_copies({}, std::vector<double>{1, 1}, 2, std::vector<int>{0, -1, 1}, std::vector<int>{0, 0, -1}, 2);
  CHECK(chances == std::vector<double>{1.0, 0.0});
}

TEST_CASE("Copies predicted from the law are those of drawn tokens", "[routing]") {
  for (const auto& model : {deepseek_v3(4), ungrouped_v3(4)}) {
    INFO(model.name);
    const auto popularity = expert_popularity(zipf(0.8), model, 5);
    const auto sampler = make_token_sampler(zipf(0.8), model, popularity, 5);
    const std::vector<double> inclusion{popularity.layer(0).begin(), popularity.layer(0).end()};
    const double expected = copies(*model.moe, inclusion, 16);
    std::vector<int> experts(8);
    double sum = 0, squares = 0;
    constexpr int kTokens = 40000;
    for (std::uint32_t t = 0; t < kTokens; ++t) {
      sampler->draw(0, 0, t, experts);
      unsigned ranks = 0;
      for (const int e : experts) ranks |= 1u << (e / 16);
      const double distinct = __builtin_popcount(ranks);
      sum += distinct;
      squares += distinct * distinct;
    }
    const double mean = sum / kTokens, sigma = std::sqrt((squares / kTokens - mean * mean) / kTokens);
    CHECK(std::abs(mean - expected) < 4 * sigma);
  }
}

TEST_CASE("Slots and sets of different number are refused", "[routing]") {
  CHECK_THROWS_WITH(distinct_copies({}, std::vector<double>{1, 1}, 2, std::vector<int>{0}, std::vector<int>{0, 1}, 2),
                    "as many sets as slots are needed");
}
