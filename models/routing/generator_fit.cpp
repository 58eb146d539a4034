#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "models/routing/trace_fit.hpp"

namespace moesim {

namespace {

constexpr std::size_t kMostDomains = 32, kClusters = 16;
constexpr int kRounds = 20;

/// Chances per layer and expert of the tokens of one domain, and how many tokens that are.
struct DomainSums {
  std::vector<double> chance;  // [layers * experts], tokens until scaled
  double tokens = 0;
};

void add(DomainSums& to, const DomainSums& from) {
  if (to.chance.empty()) to.chance.assign(from.chance.size(), 0.0);
  for (std::size_t i = 0; i < from.chance.size(); ++i) to.chance[i] += from.chance[i];
  to.tokens += from.tokens;
}

std::vector<DomainSums> sums_of_requests(const TokenTrace& trace) {
  const auto experts = static_cast<std::size_t>(trace.experts);
  std::vector<DomainSums> requests(trace.requests());
  for (std::size_t r = 0; r < requests.size(); ++r) {
    requests[r].chance.assign(trace.layers() * experts, 0.0);
    requests[r].tokens = static_cast<double>(trace.first_token[r + 1] - trace.first_token[r]);
    for (std::size_t t = trace.first_token[r]; t < trace.first_token[r + 1]; ++t)
      for (std::size_t l = 0; l < trace.layers(); ++l)
        for (const std::int16_t e : trace.token(t, l)) ++requests[r].chance[l * experts + static_cast<std::size_t>(e)];
  }
  return requests;
}

double distance(const DomainSums& a, const DomainSums& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.chance.size(); ++i) sum += std::pow(a.chance[i] / a.tokens - b.chance[i] / b.tokens, 2);
  return sum;
}

std::size_t nearest_of(const DomainSums& request, const std::vector<DomainSums>& centres) {
  std::size_t best = 0;
  double least = std::numeric_limits<double>::infinity();
  for (std::size_t c = 0; c < centres.size(); ++c)
    if (const double d = distance(request, centres[c]); d < least) {
      least = d;
      best = c;
    }
  return best;
}

/// k-means from requests that lie far apart: the first, then always the one farthest from all chosen.
std::vector<DomainSums> clusters_of(const std::vector<DomainSums>& requests) {
  std::vector<DomainSums> centres{requests.front()};
  std::vector<double> away(requests.size(), std::numeric_limits<double>::infinity());
  while (centres.size() < kClusters) {
    for (std::size_t r = 0; r < requests.size(); ++r)
      away[r] = std::min(away[r], distance(requests[r], centres.back()));
    centres.push_back(requests[static_cast<std::size_t>(std::max_element(away.begin(), away.end()) - away.begin())]);
  }
  std::vector<std::size_t> cluster(requests.size(), 0), before;
  for (int round = 0; round < kRounds && cluster != before; ++round) {
    before = cluster;
    for (std::size_t r = 0; r < requests.size(); ++r) cluster[r] = nearest_of(requests[r], centres);
    std::vector<DomainSums> next(centres.size());
    for (std::size_t r = 0; r < requests.size(); ++r) add(next[cluster[r]], requests[r]);
    for (std::size_t c = 0; c < centres.size(); ++c)
      if (next[c].tokens > 0) centres[c] = std::move(next[c]);
  }
  std::vector<DomainSums> members(centres.size());
  for (std::size_t r = 0; r < requests.size(); ++r) add(members[cluster[r]], requests[r]);
  std::erase_if(members, [](const DomainSums& sums) { return sums.tokens == 0; });
  return members;
}

ExpertPopularity popularity_of(const TokenTrace& trace, std::vector<double> inclusion) {
  return {static_cast<int>(trace.layers()), trace.experts, trace.top_k, std::move(inclusion), false};
}

}  // namespace

TraceGenerator fit_generator(const TokenTrace& trace, const std::vector<TraceNumbers>& numbers) {
  const std::vector<DomainSums> requests = sums_of_requests(trace);
  std::vector<DomainSums> domains = requests.size() > kMostDomains ? clusters_of(requests) : requests;
  for (DomainSums& domain : domains)
    for (double& chance : domain.chance) chance /= domain.tokens;
  const auto experts = static_cast<std::size_t>(trace.experts);
  const auto tokens = static_cast<double>(trace.tokens());

  TraceGenerator generator;
  std::vector<double> mean(trace.layers() * experts);
  for (std::size_t l = 0; l < trace.layers(); ++l) {
    const TraceNumbers& of = numbers[l];
    double apart = 0;  // sum over domains of the squared distance from the mean, over k
    for (std::size_t e = 0; e < experts; ++e) {
      mean[l * experts + e] = of.loads[e] / tokens;
      for (const DomainSums& domain : domains)
        apart +=
            domain.tokens / tokens * std::pow(domain.chance[l * experts + e] - mean[l * experts + e], 2) / trace.top_k;
    }
    const double excess = of.far_overlap - of.chance_overlap;
    const double square = apart > 0 ? std::clamp(excess / apart, 0.0, 1.0) : 0.0;
    generator.shrinkage.push_back(std::sqrt(square));
    const double same_request = of.chance_overlap + square * apart;
    generator.persistence.push_back(std::clamp((of.overlap - same_request) / (1 - same_request), 0.0, 0.999));
  }
  generator.mixture.persistence = generator.persistence;
  const bool alike =
      std::all_of(generator.shrinkage.begin(), generator.shrinkage.end(), [](double s) { return s == 0; });
  if (alike) {
    generator.mixture.weights = {1.0};
    generator.mixture.domains = {popularity_of(trace, mean)};
    return generator;
  }
  for (DomainSums& domain : domains) {
    for (std::size_t i = 0; i < mean.size(); ++i)
      domain.chance[i] = mean[i] + generator.shrinkage[i / experts] * (domain.chance[i] - mean[i]);
    generator.mixture.weights.push_back(domain.tokens / tokens);
    generator.mixture.domains.push_back(popularity_of(trace, std::move(domain.chance)));
  }
  return generator;
}

TokenTrace generate(const TraceGenerator& generator, const TokenTrace& like, std::uint32_t replicate,
                    std::uint64_t seed) {
  std::size_t longest = 1;
  for (std::size_t r = 0; r < like.requests(); ++r)
    longest = std::max(longest, like.first_token[r + 1] - like.first_token[r]);
  const Correlation correlation{generator.persistence, 0, static_cast<int>(longest)};
  const auto sampler =
      make_correlated_sampler(RouterShape{like.experts, like.top_k, 1, 1}, generator.mixture, correlation, seed);
  TokenTrace trace = like;
  std::vector<int> experts(static_cast<std::size_t>(like.top_k));
  auto* out = trace.chosen.data();
  for (std::size_t r = 0; r < like.requests(); ++r)
    for (std::size_t t = 0; t < like.first_token[r + 1] - like.first_token[r]; ++t)
      for (std::size_t l = 0; l < like.layers(); ++l) {
        sampler->draw(replicate, static_cast<int>(l), static_cast<std::uint32_t>(r * longest + t), experts);
        for (const int e : experts) *out++ = static_cast<std::int16_t>(e);
      }
  return trace;
}

}  // namespace moesim
