#pragma once
// Recorded tokens in numbers, and a generator that shows the same numbers.

#include <string>
#include <vector>

#include "models/routing/correlated.hpp"
#include "models/routing/load_fit.hpp"
#include "models/routing/route_files.hpp"

namespace moesim {

/// What a layer of a trace shows.
struct TraceNumbers {
  std::vector<double> loads;  ///< [experts] tokens
  double max_over_mean = 1;
  double overlap = 0;         ///< share of experts that a token has in common with its request's token before
  double chance_overlap = 0;  ///< of two tokens drawn alone from these loads: sum pi^2 / k
  double far_overlap = 0;     ///< of two tokens of one request at least 17 apart; chance_overlap where there are none
  std::vector<double> rank_max_over_mean;  ///< by rank_counts(experts), consecutive experts per rank
};
/// [layers]
std::vector<TraceNumbers> measure(const TokenTrace& trace);

/// 95 % bootstrap intervals of a layer. Requests are drawn anew; with fewer than 8, blocks of 32 tokens are (overlaps
/// then count inside blocks).
struct TraceIntervals {
  Interval max_over_mean, overlap;
  std::vector<Interval> rank_max_over_mean;
};
std::vector<TraceIntervals> bootstrap(const TokenTrace& trace, int resamples, std::uint64_t seed);

/// A mixture of domains (the trace's requests; beyond 32 of them, 16 clusters) with persistence (correlated.hpp):
///   * a layer's domain shares are drawn towards the mean, pi + lambda (pi_domain - pi), so that tokens of one request
///     far apart overlap as in the trace (lambda = 0: no more than chance; then one domain is enough);
///   * persistence then makes up what overlap with the token before is left, r = (o - o_far) / (1 - o_far).
/// Mean loads are exactly the trace's. Whole tokens repeat, so the overlap two and three tokens apart comes out lower
/// than measured, and the affinity between layers is reported, not generated.
struct TraceGenerator {
  Mixture mixture;
  std::vector<double> shrinkage;    ///< [layers] lambda
  std::vector<double> persistence;  ///< [layers]
};
TraceGenerator fit_generator(const TokenTrace& trace, const std::vector<TraceNumbers>& numbers);

/// As many requests of the same lengths from the generator; another `replicate`, other tokens.
TokenTrace generate(const TraceGenerator& generator, const TokenTrace& like, std::uint32_t replicate,
                    std::uint64_t seed);

/// How often knowing a token's experts in a layer tells those in the next, beyond always guessing the k most popular:
/// (hit - static) / (1 - static), predictors made and judged on different halves of the requests, [layers - 1].
std::vector<double> next_layer_affinity(const TokenTrace& trace);

}  // namespace moesim
