// What the collector of the tables did, and curves out of its times.

#include "models/kernels/published/expert_fit.hpp"

#include <algorithm>
#include <functional>
#include <numeric>

#include "models/kernels/published/expert_curves.hpp"
#include "models/kernels/published/tile_fit.hpp"
#include "tests/catch_compat.hpp"
#include "tests/kernels/kernels_testing.hpp"

using namespace moesim;

namespace {

using Rows = std::vector<std::int32_t>;
constexpr CollectorHabits kSmallest{.spare_rows_to_smallest = true};
constexpr CollectorHabits kLocal{.only_local_tokens = true};
constexpr CollectorHabits kOnFirst{.only_local_tokens = true, .other_pairs_on_first_expert = true};

std::int64_t sum(const Rows& rows) {
  return std::accumulate(rows.begin(), rows.end(), std::int64_t{0});
}

Gpu gpu() {
  return find_gpu("h100-sxm", "test");
}

/// Microseconds of a kernel that takes 40 us, 0.05 us a token that enters, and for an expert 6 us and 0.1 us a row: an
/// H100 reads the 20 MB of an expert of 2,048 x 1,638 in bf16 in as long.
double kernel(const CollectedBatch& batch) {
  double us = 40 + 0.05 * static_cast<double>(batch.tokens);
  for (const std::int32_t rows : batch.rows) us += rows > 0 ? 6 + 0.1 * rows : 0;
  return us;
}

constexpr int kExperts = 32, kTopK = 4;

/// Balanced and skewed rows of 1 to 8 ranks as a collector of these habits would have written them.
std::vector<MeasuredPoint> collected(const CollectorHabits& habits) {
  std::vector<MeasuredPoint> points;
  for (const int ranks : {1, 2, 4, 8})
    for (const int tokens : {16, 64, 256, 512, 1024, 2048, 4096}) {
      const CollectorRouting routing{tokens, kExperts, kTopK, ranks};
      const double slots = kExperts / ranks, rows = static_cast<double>(sum(balanced_batch(routing).rows));
      points.push_back({{slots}, rows, kernel(balanced_batch(routing, habits)), 0, tokens, ranks});
      double skewed = 0;
      for (std::uint32_t draw = 100; draw < 400; ++draw)
        skewed += kernel(power_law_batch(routing, 1.01, habits, draw)) / 300;
      points.push_back({{slots}, rows, skewed, 1.01, tokens, ranks});
    }
  return points;
}

struct Outcome {
  FittedExperts fitted;
  std::vector<ModelError> errors;
};

Outcome fit(const std::string& name, const std::vector<MeasuredPoint>& points) {
  const TableKey key{KernelOperation::experts, name, NumberFormat::bf16, {2048, 1638, kExperts, kTopK}};
  const SplitPoints split = split_points(key, points);
  Verdicts verdicts;
  FittedExperts fitted = fit_experts(key, split, gpu(), 0.01);
  PowerLawBatches batches;
  judge_experts(fitted, split, gpu(), batches, verdicts);
  return {std::move(fitted), verdicts.errors()};
}

void check_skewed(const Outcome& outcome) {
  int judged = 0;
  for (const ModelError& error : outcome.errors) {
    INFO(error.regime << " median " << error.median << " mean rows " << error.baseline_median);
    if (error.regime.find("skewed") == std::string::npos) continue;
    ++judged;
    CHECK(error.median < 0.06);  // sixteen draws against three hundred
    CHECK(error.baseline_median > 2 * error.median);
  }
  CHECK(judged == 2);
}

}  // namespace

TEST_CASE("A skewed batch has every row once and no expert above the tokens and the most on rank 0", "[kernels]") {
  for (const CollectorHabits& habits : {kSmallest, CollectorHabits{}})
    for (const CollectorRouting& routing : {CollectorRouting{1, 128, 8, 16},
                                            {7, 128, 8, 8},
                                            {512, 8, 2, 4},
                                            {4096, 8, 2, 1},
                                            {16384, 256, 8, 32},
                                            {300, 32, 4, 1}}) {
      INFO(routing.tokens << " tokens on " << routing.ep << " ranks");
      CollectorRouting whole = routing;
      whole.ep = 1;
      const Rows all = power_law_batch(whole, 1.2, habits, 3).rows;
      CHECK(sum(all) == static_cast<std::int64_t>(routing.tokens) * routing.top_k);
      CHECK(*std::max_element(all.begin(), all.end()) <= routing.tokens);
      CHECK(*std::min_element(all.begin(), all.end()) >= 0);
      const CollectedBatch own = power_law_batch(routing, 1.2, habits, 3);
      CHECK(own.rows.size() == static_cast<std::size_t>(routing.experts / routing.ep));
      CHECK(sum(own.rows) * routing.ep >= sum(all));
      CHECK(own.tokens == routing.tokens);
    }
}

TEST_CASE("Rows that rounding leaves over go to the smallest loads or to every rank in turn", "[kernels]") {
  // 1 token on 128 experts: 8 rows over loads of at most 2 of 128 x 0.38 round to none each. From the smallest load on,
  // of equal ones the last, that is one rank of 8 experts; in turn, 8 of 16 ranks get one row.
  CHECK(power_law_batch({1, 128, 8, 16}, 1.01, kSmallest, 0).rows == Rows(8, 1));
  CHECK(sum(power_law_batch({1, 128, 8, 16}, 1.01, {}, 0).rows) == 1);
}

TEST_CASE("Tokens without an expert on the rank may stay away and pairs of others run on the first expert",
          "[kernels]") {
  // token t takes experts t and t + 4 of 8, one of which is below 4; below 2 for t mod 4 = 0 and 1
  const CollectedBatch halves = balanced_batch({16, 8, 2, 2}, kOnFirst);
  CHECK(halves.tokens == 16);
  CHECK(halves.rows == Rows{4 + 16, 4, 4, 4});  // 32 pairs, 16 of them for the other rank
  const CollectedBatch quarters = balanced_batch({16, 8, 2, 4}, kLocal);
  CHECK(quarters.tokens == 8);
  CHECK(quarters.rows == Rows{4, 4});
  CHECK(balanced_batch({16, 8, 2, 1}, kOnFirst).rows == Rows(8, 4));
}

TEST_CASE("Tokens of a skewed batch are counted once however many experts of the rank they take", "[kernels]") {
  // all experts on one rank: every token
  CHECK(power_law_batch({512, 8, 2, 1}, 1.2, kLocal, 5).tokens == 512);
  for (std::uint32_t draw = 0; draw < 20; ++draw) {
    const CollectedBatch own = power_law_batch({512, 32, 4, 8}, 1.2, kLocal, draw);
    CHECK(own.tokens >= *std::max_element(own.rows.begin(), own.rows.end()));
    CHECK(own.tokens <= std::min<std::int64_t>(512, sum(own.rows)));
  }
}

TEST_CASE("What a token takes wherever its experts are is told from what its rows take", "[kernels]") {
  const Outcome outcome = fit("vllm_toy", collected({}));
  CHECK(outcome.fitted.table.per_token.value() * 1e6 == Approx(0.05).epsilon(0.05));
  check_skewed(outcome);
  // 8 slots, 64 rows each, as balanced routing of 512 tokens; and the same rows when 2,048 tokens enter
  const ExpertCurves curves{outcome.fitted.table, gpu(), 8};
  const Rows rows(8, 64);
  CHECK(curves(rows).value() * 1e6 == Approx(kernel({rows, 512})).epsilon(0.01));
  CHECK(curves(rows, 2048).value() * 1e6 == Approx(kernel({rows, 2048})).epsilon(0.02));
}

TEST_CASE("Times of a rank that only its own tokens entered are carried to all tokens", "[kernels]") {
  const Outcome outcome = fit("sglang_toy", collected(kLocal));
  CHECK_FALSE(outcome.fitted.habits.other_pairs_on_first_expert);
  CHECK(outcome.fitted.table.per_token.value() * 1e6 == Approx(0.05).epsilon(0.1));
  check_skewed(outcome);
  const ExpertCurves curves{outcome.fitted.table, gpu(), 4};  // of 8 ranks: half of the tokens came
  CHECK(curves(Rows(4, 256)).value() * 1e6 == Approx(kernel({Rows(4, 256), 2048})).epsilon(0.03));
  CHECK(curves(Rows(4, 256), 1024).value() * 1e6 == Approx(kernel({Rows(4, 256), 1024})).epsilon(0.03));
}

TEST_CASE("Pairs of other ranks that ran on the first expert are found and taken out", "[kernels]") {
  const Outcome outcome = fit("sglang_toy", collected(kOnFirst));
  CHECK(outcome.fitted.habits.other_pairs_on_first_expert);
  for (const ModelError& error : outcome.errors)
    if (error.regime.find("skewed") != std::string::npos) CHECK(error.median < 0.1);
  // measured with 4,096 tokens on 8 ranks: 2,048 tokens came, 8,192 rows; own are 512 on each of 4 experts. What the
  // tokens take cannot be told from what the rows take there, so that it shrinks with them: 0.05 us of 4 rows a token.
  const ExpertCurves curves{outcome.fitted.table, gpu(), 4};
  const double own_rows = 40 + 4 * (6 + (0.1 + 0.05 / kTopK) * 512);
  CHECK(curves(Rows(4, 512)).value() * 1e6 == Approx(own_rows).epsilon(0.05));
  CHECK(kernel(balanced_batch({4096, kExperts, kTopK, 8}, kOnFirst)) > 3 * own_rows);
}

TEST_CASE("The law of tiles is found in skewed rows and tells others of both kinds", "[kernels]") {
  // what rows of the whole batch take, by tiles of 32 for each active expert: rows fill up tiles until 32 a slot
  const auto tiled = [](const CollectedBatch& batch) {
    const auto slots = static_cast<double>(batch.rows.size()), mean = static_cast<double>(sum(batch.rows)) / slots;
    double tiles = 0;
    for (const std::int32_t rows : batch.rows) tiles += rows > 0 ? std::max(1.0, rows / 32.0) : 0;
    return 40 + (6 + 0.1 * mean) * tiles / std::max(1.0, mean / 32);
  };
  const auto law_of = [](auto&& time) {
    std::vector<MeasuredPoint> points;
    for (const int ranks : {1, 2, 4})
      for (const int tokens : {8, 16, 32, 48, 64, 96, 128, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 8192}) {
        const CollectorRouting routing{tokens, kExperts, kTopK, ranks};
        const double slots = kExperts / ranks, rows = static_cast<double>(sum(balanced_batch(routing).rows));
        points.push_back({{slots}, rows, time(balanced_batch(routing)), 0, tokens, ranks});
        for (const double skew : {1.01, 1.05, 1.1, 1.2}) {
          double skewed = 0;
          for (std::uint32_t draw = 100; draw < 200; ++draw)
            skewed += time(power_law_batch(routing, skew, {}, draw)) / 100;
          points.push_back({{slots}, rows, skewed, skew, tokens, ranks});
        }
      }
    const TableKey key{KernelOperation::experts, "vllm_toy", NumberFormat::bf16, {2048, 1638, kExperts, kTopK}};
    const SplitPoints split = split_points(key, points);
    CHECK(split.skewed_fitted.size() > 20);
    CHECK(split.skewed.size() > 3 * split.skewed_fitted.size());
    FittedExperts fitted = fit_experts(key, split, gpu(), 0.01);
    PowerLawBatches batches;
    fitted.table.tiles = fit_tiles({{&fitted, &split}}, gpu(), batches);
    Verdicts verdicts;
    judge_experts(fitted, split, gpu(), batches, verdicts);
    for (const ModelError& error : verdicts.errors()) {
      INFO(error.regime << " median " << error.median);
      if (error.regime.find("skewed") != std::string::npos) CHECK(error.median < 0.04);
    }
    const CollectedBatch hot{{400, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, 896};
    CHECK(ExpertCurves{fitted.table, gpu(), 16}(hot.rows, 896.).value() * 1e6 == Approx(time(hot)).epsilon(0.06));
    return fitted.table.tiles;
  };
  const TileLaw found = law_of(tiled);
  CHECK(found.tile == 32);
  for (const std::size_t at : {1, 2, 3, 4}) CHECK(found.share[at] >= 0.75);
  law_of(kernel);
}
