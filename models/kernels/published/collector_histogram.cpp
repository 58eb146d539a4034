#include "models/kernels/published/collector_histogram.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>
#include <utility>

#include "models/units/random.hpp"

namespace moesim {
namespace {

using Rows = std::vector<std::int32_t>;

std::int64_t sum_of(std::span<const std::int32_t> rows) {
  return std::accumulate(rows.begin(), rows.end(), std::int64_t{0});
}

/// Experts from the one with the most rows on; of equal ones the first first.
std::vector<std::size_t> by_rows(const Rows& rows) {
  std::vector<std::size_t> order(rows.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return rows[a] > rows[b]; });
  return order;
}

/// What is above the limit fills the smallest load, then the next; what is missing goes round from the smallest on, and
/// what is too much comes off the same way.
void settle_from_smallest(Rows& rows, std::int64_t above_limit, std::int64_t total, std::int32_t limit) {
  auto order = by_rows(rows);
  for (auto e = order.rbegin(); e != order.rend() && above_limit > 0; ++e) {
    const auto added = std::min<std::int64_t>(above_limit, limit - rows[*e]);
    rows[*e] += static_cast<std::int32_t>(added);
    above_limit -= added;
  }
  std::int64_t missing = total - sum_of(rows);
  order = by_rows(rows);
  std::size_t idle = 0;
  for (std::size_t i = order.size(); missing != 0 && idle < order.size(); i = i == 1 ? order.size() : i - 1) {
    std::int32_t& own = rows[order[i - 1]];
    ++idle;
    if (missing > 0 ? own >= limit : own <= 0) {
      if (missing > 0) continue;
      --*std::max_element(rows.begin(), rows.end());
      ++missing;
    } else {
      own += missing > 0 ? 1 : -1;
      missing += missing > 0 ? -1 : 1;
    }
    idle = 0;
  }
}

/// `count` rows one by one to the smallest of `rows`, none above the limit: they rise to one level.
void raise_smallest(std::span<std::int32_t> rows, std::int64_t count, std::int32_t limit) {
  std::int64_t low = *std::min_element(rows.begin(), rows.end()), high = limit;
  const auto needed = [&](std::int64_t level) {
    std::int64_t sum = 0;
    for (const std::int32_t own : rows) sum += std::max<std::int64_t>(0, level - own);
    return sum;
  };
  while (low < high) {
    const std::int64_t level = (low + high + 1) / 2;
    (needed(level) <= count ? low : high) = needed(level) <= count ? level : level - 1;
  }
  count -= needed(low);
  for (std::int32_t& own : rows) {
    own = std::max(own, static_cast<std::int32_t>(low));
    if (own == low && count > 0 && own < limit) {
      ++own;
      --count;
    }
  }
}

/// The same on every rank in turn.
void raise_in_turn(Rows& rows, std::size_t local, std::int64_t count, std::int32_t limit) {
  const std::size_t ranks = rows.size() / local;
  std::vector<std::int64_t> room(ranks), share(ranks);
  for (std::size_t r = 0; r < ranks; ++r)
    room[r] = static_cast<std::int64_t>(local) * limit - sum_of(std::span{rows}.subspan(r * local, local));
  while (count > 0) {
    std::size_t open = 0;
    for (const std::int64_t left : room) open += left > 0;
    if (open == 0) break;
    const std::int64_t each = std::max<std::int64_t>(1, count / static_cast<std::int64_t>(open));
    for (std::size_t r = 0; r < ranks && count > 0; ++r) {
      const std::int64_t taken = std::min({each, room[r], count});
      share[r] += taken;
      room[r] -= taken;
      count -= taken;
    }
  }
  for (std::size_t r = 0; r < ranks; ++r)
    if (share[r] > 0) raise_smallest(std::span{rows}.subspan(r * local, local), share[r], limit);
}

void lower_in_turn(Rows& rows, std::size_t local, std::int64_t count) {
  for (std::size_t r = 0, idle = 0; count > 0 && idle < rows.size() / local; r = (r + 1) % (rows.size() / local)) {
    const auto first = rows.begin() + static_cast<std::ptrdiff_t>(r * local);
    const auto most = std::max_element(first, first + static_cast<std::ptrdiff_t>(local));
    ++idle;
    if (*most == 0) continue;
    --*most;
    --count;
    idle = 0;
  }
}

Rows drawn_rows(const CollectorRouting& routing, double alpha, const CollectorHabits& habits, std::uint32_t draw) {
  const std::int64_t total = static_cast<std::int64_t>(routing.tokens) * routing.top_k;
  const bool many = total > routing.experts;
  const double low = many ? 1 : 0.01, high = many ? std::max(1.0, 0.8 * routing.tokens) : 2, power = 1 - alpha;
  Random random{20240811, Purpose::test, 0, draw};
  std::vector<double> loads(static_cast<std::size_t>(routing.experts));
  for (double& load : loads)
    load =
        std::pow((std::pow(high, power) - std::pow(low, power)) * random.uniform() + std::pow(low, power), 1 / power);

  const double scale = static_cast<double>(total) / std::accumulate(loads.begin(), loads.end(), 0.0);
  Rows rows(loads.size());
  std::int64_t above_limit = 0;
  for (std::size_t e = 0; e < rows.size(); ++e) {
    const double wanted = std::nearbyint(loads[e] * scale);
    rows[e] = static_cast<std::int32_t>(std::min<double>(routing.tokens, wanted));
    above_limit += static_cast<std::int64_t>(wanted) - rows[e];
  }
  if (habits.spare_rows_to_smallest) {
    settle_from_smallest(rows, above_limit, total, routing.tokens);
    return rows;
  }
  const auto local = static_cast<std::size_t>(std::max(1, routing.experts / routing.ep));
  raise_in_turn(rows, local, above_limit, routing.tokens);
  const std::int64_t missing = total - sum_of(rows);
  if (missing > 0) raise_in_turn(rows, local, missing, routing.tokens);
  if (missing < 0) lower_in_turn(rows, local, -missing);
  return rows;
}

void swap_hottest_first(Rows& rows, std::size_t local) {
  std::size_t hottest = 0;
  std::int64_t most = -1;
  for (std::size_t first = 0; first + local <= rows.size(); first += local)
    if (const std::int64_t own = sum_of(std::span{rows}.subspan(first, local)); own > most) {
      most = own;
      hottest = first;
    }
  if (hottest > 0) std::swap_ranges(rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(local), &rows[hottest]);
}

/// Tokens with an expert among the first `local`: sorted experts fill a column of `tokens` rows after the other.
std::int64_t tokens_with(const Rows& rows, std::size_t local, int tokens) {
  std::vector<std::pair<std::int64_t, std::int64_t>> covered;
  std::int64_t at = 0;
  for (const std::size_t expert : by_rows(rows)) {
    const std::int64_t first = at % tokens, end = first + rows[expert];
    at += rows[expert];
    if (expert >= local || rows[expert] == 0) continue;
    covered.emplace_back(first, std::min<std::int64_t>(end, tokens));
    if (end > tokens) covered.emplace_back(0, end - tokens);
  }
  std::sort(covered.begin(), covered.end());
  std::int64_t sum = 0, until = 0;
  for (const auto& [first, end] : covered) {
    sum += std::max<std::int64_t>(0, end - std::max(first, until));
    until = std::max(until, end);
  }
  return sum;
}

CollectedBatch batch_of(Rows local_rows, std::int64_t local_tokens, const CollectorRouting& routing,
                        const CollectorHabits& habits) {
  CollectedBatch batch{std::move(local_rows), habits.only_local_tokens ? local_tokens : routing.tokens};
  if (habits.other_pairs_on_first_expert && routing.ep > 1)
    batch.rows.front() += static_cast<std::int32_t>(batch.tokens * routing.top_k - sum_of(batch.rows));
  return batch;
}

}  // namespace

CollectorHabits collector_habits(std::string_view kernel) {
  CollectorHabits habits;
  habits.spare_rows_to_smallest = kernel.starts_with("moe_torch_flow");
  // flashinfer_mxfp4 runs whole layers, which take every token
  habits.only_local_tokens = kernel.starts_with("sglang_") && kernel != "sglang_flashinfer_mxfp4_moe";
  return habits;
}

CollectedBatch balanced_batch(const CollectorRouting& routing, const CollectorHabits& habits) {
  const int stride = (routing.experts + routing.top_k - 1) / routing.top_k;
  Rows rows(static_cast<std::size_t>(std::max(1, routing.experts / routing.ep)));
  std::int64_t tokens = 0;
  for (std::int64_t token = 0; token < routing.tokens; ++token) {
    const std::int64_t first = routing.tokens >= stride ? token : token * stride / routing.tokens;
    bool local = false;
    for (int j = 0; j < routing.top_k; ++j) {
      const auto expert = static_cast<std::size_t>((first + static_cast<std::int64_t>(j) * stride) % routing.experts);
      if (expert >= rows.size()) continue;
      ++rows[expert];
      local = true;
    }
    tokens += local;
  }
  return batch_of(std::move(rows), tokens, routing, habits);
}

CollectedBatch power_law_batch(const CollectorRouting& routing, double alpha, const CollectorHabits& habits,
                               std::uint32_t draw) {
  Rows rows = drawn_rows(routing, alpha, habits, draw);
  const auto local = static_cast<std::size_t>(std::max(1, routing.experts / routing.ep));
  swap_hottest_first(rows, local);
  const std::int64_t tokens = habits.only_local_tokens ? tokens_with(rows, local, routing.tokens) : routing.tokens;
  rows.resize(local);
  return batch_of(std::move(rows), tokens, routing, habits);
}

const std::vector<CollectedBatch>& PowerLawBatches::of(const CollectorRouting& routing, double alpha,
                                                       const CollectorHabits& habits) {
  constexpr std::uint32_t kDraws = 16;
  auto& drawn = drawn_[{routing, alpha, habits}];
  for (auto draw = static_cast<std::uint32_t>(drawn.size()); draw < kDraws; ++draw)
    drawn.push_back(
        power_law_batch(routing, alpha, habits, static_cast<std::uint32_t>(routing.tokens) * kDraws + draw));
  return drawn;
}

}  // namespace moesim
