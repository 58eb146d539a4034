#include "models/kernels/published/collector_histogram.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "models/units/random.hpp"

namespace moesim {
namespace {

/// Whole numbers near `loads` x total / sum(loads), none above `cap`, that sum to total (if experts x cap allows it).
std::vector<std::int32_t> scaled_to(const std::vector<double>& loads, std::int64_t total, std::int32_t cap) {
  const double sum = std::accumulate(loads.begin(), loads.end(), 0.0);
  std::vector<std::int32_t> rows(loads.size());
  std::int64_t left = total;
  for (std::size_t e = 0; e < rows.size(); ++e) {
    rows[e] = static_cast<std::int32_t>(std::min<double>(cap, std::round(loads[e] * static_cast<double>(total) / sum)));
    left -= rows[e];
  }
  for (std::size_t e = 0, idle = 0; left != 0 && idle < rows.size(); e = (e + 1) % rows.size(), ++idle) {
    const std::int32_t step = left > 0 ? 1 : -1;
    if (rows[e] + step < 0 || rows[e] + step > cap) continue;
    rows[e] += step;
    left -= step;
    idle = 0;
  }
  return rows;
}

}  // namespace

std::vector<std::int32_t> balanced_rows(const CollectorRouting& routing) {
  const int stride = (routing.experts + routing.top_k - 1) / routing.top_k;
  const auto local = static_cast<std::size_t>(std::max(1, routing.experts / routing.ep));
  std::vector<std::int32_t> rows(local);
  for (std::int64_t token = 0; token < routing.tokens; ++token) {
    const std::int64_t first = routing.tokens >= stride ? token : token * stride / routing.tokens;
    for (int j = 0; j < routing.top_k; ++j) {
      const auto expert = static_cast<std::size_t>((first + static_cast<std::int64_t>(j) * stride) % routing.experts);
      if (expert < local) ++rows[expert];
    }
  }
  return rows;
}

std::vector<std::int32_t> power_law_rows(const CollectorRouting& routing, double alpha, std::uint32_t draw) {
  const std::int64_t total = static_cast<std::int64_t>(routing.tokens) * routing.top_k;
  const bool many = total > routing.experts;
  const double low = many ? 1 : 0.01, high = many ? std::max(1.0, 0.8 * routing.tokens) : 2, power = 1 - alpha;
  Random random{20240811, Purpose::test, 0, draw};
  std::vector<double> loads(static_cast<std::size_t>(routing.experts));
  for (double& load : loads)
    load =
        std::pow((std::pow(high, power) - std::pow(low, power)) * random.uniform() + std::pow(low, power), 1 / power);

  const auto rows = scaled_to(loads, total, routing.tokens);
  const auto local = static_cast<std::ptrdiff_t>(std::max(1, routing.experts / routing.ep));
  auto hottest = rows.begin();
  for (auto rank = rows.begin(); rows.end() - rank >= local; rank += local)
    if (std::accumulate(rank, rank + local, std::int64_t{0}) >
        std::accumulate(hottest, hottest + local, std::int64_t{0}))
      hottest = rank;
  return {hottest, hottest + local};
}

}  // namespace moesim
