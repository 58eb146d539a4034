#include "models/routing/token_tables.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace moesim {

namespace {

constexpr double kWhole = 0x1p32;
// Measured on one core of a 2.x GHz server: one decision over a head, and one draw from the alias table.
constexpr double kHeadCost = 5, kTailCost = 6;

/// suffix[i][r]: chance that r of the experts i .. end are taken under independent draws.
std::vector<double> suffixes(const std::vector<double>& take, const std::vector<double>& leave, std::size_t degree) {
  std::vector<double> suffix((take.size() + 1) * degree, 0.0);
  suffix[take.size() * degree] = 1;
  for (std::size_t i = take.size(); i-- > 0;) {
    double* row = suffix.data() + i * degree;
    const double* after = row + degree;
    row[0] = leave[i] * after[0];
    for (std::size_t r = 1; r < degree; ++r) row[r] = leave[i] * after[r] + take[i] * after[r - 1];
  }
  return suffix;
}

/// Expected cost of drawing the experts i .. end as a tail. Drawing r with replacement from weights w gives r distinct
/// ones with chance r! e_r(w) / (sum w)^r, and e_r(w) is suffix[r] / suffix[0].
double tail_cost(const double* suffix, std::size_t degree, double weights) {
  if (!std::isfinite(weights)) return 1e300;
  double cost = 0, chances = suffix[0], factor = 1;
  for (std::size_t r = 1; r < degree; ++r) {
    factor *= static_cast<double>(r) / weights;
    const double accepted = factor * suffix[r] / suffix[0];
    if (!(suffix[r] > 0) || !(accepted > 0)) break;
    cost += suffix[r] * static_cast<double>(r) * kTailCost / accepted;
    chances += suffix[r];
  }
  return cost / chances;
}

}  // namespace

TokenTables::TokenTables(const TokenDesign& design) : shape_{design.shape()} {
  for (int g = 0; g < shape_.groups; ++g) groups_.push_back(make_group(design, g));
  if (shape_.groups > 1) tabulate_counts(design);
}

TokenTables::Group TokenTables::make_group(const TokenDesign& design, int g) const {
  const int first = g * shape_.group_size();
  const auto& odds = design.odds();
  std::vector<std::int32_t> experts;
  for (int e = first; e < first + shape_.group_size(); ++e)
    if (odds.take[static_cast<std::size_t>(e)] > 0) experts.push_back(e);
  std::stable_sort(experts.begin(), experts.end(), [&](int a, int b) {
    return odds.take[static_cast<std::size_t>(a)] > odds.take[static_cast<std::size_t>(b)];
  });
  const std::size_t n = experts.size(), degree = static_cast<std::size_t>(shape_.top_k) + 1;
  std::vector<double> take(n), leave(n), weight(n), after(n + 1, 0.0);
  for (std::size_t i = 0; i < n; ++i) {
    take[i] = odds.take[static_cast<std::size_t>(experts[i])];
    leave[i] = odds.leave[static_cast<std::size_t>(experts[i])];
    weight[i] = take[i] / leave[i];
  }
  for (std::size_t i = n; i-- > 0;) after[i] = after[i + 1] + weight[i];
  const auto suffix = suffixes(take, leave, degree);
  std::size_t heads = 0;
  double best = 1e301;
  for (std::size_t h = 0; h <= n; h += 1 + h / 4) {
    const double tail = h < n ? tail_cost(suffix.data() + h * degree, degree, after[h]) : 0;
    const double cost = kHeadCost * static_cast<double>(h) + tail;
    if (cost < best) {
      best = cost;
      heads = h;
    }
  }
  if (best >= 1e300) heads = n;

  Group group;
  group.heads.assign(experts.begin(), experts.begin() + static_cast<std::ptrdiff_t>(heads));
  group.take.assign(heads * degree, 0);
  for (std::size_t i = 0; i < heads; ++i)
    for (std::size_t r = 1; r < degree; ++r)
      if (const double all = suffix[i * degree + r]; all > 0)
        group.take[i * degree + r] = static_cast<std::uint64_t>(
            std::min(kWhole, std::round(kWhole * (take[i] * suffix[(i + 1) * degree + r - 1] / all))));
  if (heads == n) return group;
  std::vector<double> tail(static_cast<std::size_t>(shape_.experts), 0.0);
  for (std::size_t i = heads; i < n; ++i) tail[static_cast<std::size_t>(experts[i])] = weight[i];
  group.tail = AliasTable{tail};
  return group;
}

void TokenTables::tabulate_counts(const TokenDesign& design) {
  const auto degree = static_cast<std::size_t>(shape_.top_k) + 1;
  const auto& in = design.group_polynomials();
  const auto& out = design.left_out();
  const GroupChain chain{shape_, in, out};
  counts_.assign(state(shape_.groups, 0, 0), 0);
  for (int g = 0; g < shape_.groups; ++g)
    for (int kept = 0; kept <= shape_.kept; ++kept)
      for (int left = 1; left <= shape_.top_k; ++left) {
        std::uint64_t* cumulative = counts_.data() + state(g, kept, left);
        const double all = chain.suffix(g, kept, left);
        if (!(all > 0)) continue;  // never reached
        double sum = out[static_cast<std::size_t>(g)] * chain.suffix(g + 1, kept, left);
        std::size_t last = 0;
        cumulative[0] = static_cast<std::uint64_t>(std::min(kWhole, std::round(kWhole * sum / all)));
        for (std::size_t j = 0; j < degree; ++j) {
          double chance = 0;
          if (kept > 0 && j <= static_cast<std::size_t>(left))
            chance = in[static_cast<std::size_t>(g) * degree + j] *
                     chain.suffix(g + 1, kept - 1, left - static_cast<int>(j));
          if (chance > 0) last = j + 1;
          sum += chance;
          cumulative[j + 1] = static_cast<std::uint64_t>(std::min(kWhole, std::round(kWhole * sum / all)));
        }
        // Rounding must not reach an outcome that cannot happen.
        for (std::size_t j = last; j <= degree; ++j) cumulative[j] = std::uint64_t{1} << 32;
      }
}

}  // namespace moesim
