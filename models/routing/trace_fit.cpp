#include "models/routing/trace_fit.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include "models/routing/routing.hpp"
#include "models/units/random.hpp"

namespace moesim {

namespace {

constexpr std::size_t kNear = 16;  // tokens closer than this still feel each other in every trace looked at
constexpr std::size_t kFewRequests = 8, kBlock = 32;

/// Every token's experts of a layer as bits.
class Masks {
public:
  explicit Masks(const TokenTrace& trace)
      : layers_{trace.layers()}, words_{(static_cast<std::size_t>(trace.experts) + 63) / 64} {
    bits_.assign(trace.tokens() * layers_ * words_, 0);
    for (std::size_t t = 0; t < trace.tokens(); ++t)
      for (std::size_t l = 0; l < layers_; ++l)
        for (const std::int16_t e : trace.token(t, l)) {
          const auto expert = static_cast<std::size_t>(e);
          bits_[(t * layers_ + l) * words_ + expert / 64] |= std::uint64_t{1} << expert % 64;
        }
  }

  int common(std::size_t a, std::size_t b, std::size_t layer) const {
    const std::uint64_t *x = bits_.data() + (a * layers_ + layer) * words_,
                        *y = bits_.data() + (b * layers_ + layer) * words_;
    int count = 0;
    for (std::size_t w = 0; w < words_; ++w) count += std::popcount(x[w] & y[w]);
    return count;
  }

private:
  std::size_t layers_, words_;
  std::vector<std::uint64_t> bits_;
};

/// A run of tokens [first, last) that the bootstrap takes or leaves as a whole.
struct Run {
  std::size_t first, last;
};

std::vector<Run> requests_of(const TokenTrace& trace) {
  std::vector<Run> runs;
  for (std::size_t r = 0; r < trace.requests(); ++r) runs.push_back({trace.first_token[r], trace.first_token[r + 1]});
  return runs;
}

std::vector<Run> resampling_units(const TokenTrace& trace) {
  std::vector<Run> runs = requests_of(trace);
  if (runs.size() >= kFewRequests) return runs;
  std::vector<Run> blocks;
  for (const Run& run : runs)
    for (std::size_t first = run.first; first < run.last; first += kBlock)
      blocks.push_back({first, std::min(run.last, first + kBlock)});
  return blocks;
}

/// Sums of a run: loads [layers * experts] and, per layer, experts in common of neighbouring tokens.
struct RunSums {
  std::vector<double> loads, common;
  double pairs = 0;
};

RunSums sum_run(const TokenTrace& trace, const Masks& masks, const Run& run) {
  const auto experts = static_cast<std::size_t>(trace.experts);
  RunSums sums{std::vector<double>(trace.layers() * experts, 0.0), std::vector<double>(trace.layers(), 0.0), 0};
  for (std::size_t t = run.first; t < run.last; ++t)
    for (std::size_t l = 0; l < trace.layers(); ++l) {
      for (const std::int16_t e : trace.token(t, l)) ++sums.loads[l * experts + static_cast<std::size_t>(e)];
      if (t > run.first) sums.common[l] += masks.common(t, t - 1, l);
    }
  sums.pairs = static_cast<double>(run.last - run.first) - 1;
  return sums;
}

/// Overlap of tokens of one request more than kNear apart, from all pairs less the near ones; `chance` without any.
double far_overlap(const TokenTrace& trace, const Masks& masks, const std::vector<RunSums>& sums, std::size_t layer,
                   double chance) {
  const auto experts = static_cast<std::size_t>(trace.experts);
  double common = 0, pairs = 0;
  for (std::size_t r = 0; r < trace.requests(); ++r) {
    const Run run{trace.first_token[r], trace.first_token[r + 1]};
    const auto tokens = static_cast<double>(run.last - run.first);
    if (run.last - run.first <= kNear + 1) continue;
    double all = -tokens * trace.top_k, near = 0;
    for (std::size_t e = 0; e < experts; ++e) all += std::pow(sums[r].loads[layer * experts + e], 2);
    for (std::size_t t = run.first; t < run.last; ++t)
      for (std::size_t lag = 1; lag <= kNear && t + lag < run.last; ++lag) near += masks.common(t, t + lag, layer);
    common += all / 2 - near;
    pairs += (tokens - kNear) * (tokens - kNear - 1) / 2;
  }
  return pairs > 0 ? common / pairs / trace.top_k : chance;
}

std::vector<double> ranks_of(std::span<const double> loads) {
  std::vector<double> all;
  for (const int ranks : rank_counts(static_cast<int>(loads.size()))) all.push_back(rank_max_over_mean(loads, ranks));
  return all;
}

std::span<const double> layer_of(const std::vector<double>& loads, std::size_t layer, int experts) {
  return std::span{loads}.subspan(layer * static_cast<std::size_t>(experts), static_cast<std::size_t>(experts));
}

}  // namespace

std::vector<TraceNumbers> measure(const TokenTrace& trace) {
  const Masks masks{trace};
  std::vector<RunSums> sums;
  RunSums all{std::vector<double>(trace.layers() * static_cast<std::size_t>(trace.experts), 0.0),
              std::vector<double>(trace.layers(), 0.0), 0};
  for (const Run& run : requests_of(trace)) {
    sums.push_back(sum_run(trace, masks, run));
    std::transform(all.loads.begin(), all.loads.end(), sums.back().loads.begin(), all.loads.begin(), std::plus<>{});
    std::transform(all.common.begin(), all.common.end(), sums.back().common.begin(), all.common.begin(), std::plus<>{});
    all.pairs += sums.back().pairs;
  }
  std::vector<TraceNumbers> numbers(trace.layers());
  const auto tokens = static_cast<double>(trace.tokens());
  for (std::size_t l = 0; l < numbers.size(); ++l) {
    TraceNumbers& of = numbers[l];
    const auto loads = layer_of(all.loads, l, trace.experts);
    of.loads.assign(loads.begin(), loads.end());
    of.max_over_mean = imbalance(loads);
    for (const double n : loads) of.chance_overlap += std::pow(n / tokens, 2) / trace.top_k;
    of.overlap = all.pairs > 0 ? all.common[l] / all.pairs / trace.top_k : of.chance_overlap;
    of.far_overlap = far_overlap(trace, masks, sums, l, of.chance_overlap);
    of.rank_max_over_mean = ranks_of(loads);
  }
  return numbers;
}

std::vector<TraceIntervals> bootstrap(const TokenTrace& trace, int resamples, std::uint64_t seed) {
  const Masks masks{trace};
  std::vector<RunSums> units;
  for (const Run& run : resampling_units(trace)) units.push_back(sum_run(trace, masks, run));
  const std::size_t layers = trace.layers(), sizes = rank_counts(trace.experts).size();
  std::vector<std::vector<double>> most(layers), overlap(layers), rank(layers * sizes);
  std::vector<double> loads(layers * static_cast<std::size_t>(trace.experts)), common(layers);
  for (int i = 0; i < resamples; ++i) {
    Random random{seed, Purpose::bootstrap, 2, 0, static_cast<std::uint32_t>(i)};
    std::fill(loads.begin(), loads.end(), 0.0);
    std::fill(common.begin(), common.end(), 0.0);
    double pairs = 0;
    std::vector<int> times(units.size(), 0);
    for (std::size_t u = 0; u < units.size(); ++u) ++times[random.below(static_cast<std::uint32_t>(units.size()))];
    for (std::size_t u = 0; u < units.size(); ++u) {
      if (times[u] == 0) continue;
      for (std::size_t j = 0; j < loads.size(); ++j) loads[j] += times[u] * units[u].loads[j];
      for (std::size_t l = 0; l < layers; ++l) common[l] += times[u] * units[u].common[l];
      pairs += times[u] * units[u].pairs;
    }
    for (std::size_t l = 0; l < layers; ++l) {
      const auto of_layer = layer_of(loads, l, trace.experts);
      most[l].push_back(imbalance(of_layer));
      overlap[l].push_back(pairs > 0 ? common[l] / pairs / trace.top_k : 0);
      const auto ranks = ranks_of(of_layer);
      for (std::size_t s = 0; s < sizes; ++s) rank[l * sizes + s].push_back(ranks[s]);
    }
  }
  std::vector<TraceIntervals> intervals(layers);
  for (std::size_t l = 0; l < layers; ++l) {
    intervals[l] = {interval_of(most[l]), interval_of(overlap[l]), {}};
    for (std::size_t s = 0; s < sizes; ++s) intervals[l].rank_max_over_mean.push_back(interval_of(rank[l * sizes + s]));
  }
  return intervals;
}

}  // namespace moesim
