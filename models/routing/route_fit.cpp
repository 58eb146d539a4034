#include "models/routing/route_fit.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <fmt/format.h>

#include "models/units/error.hpp"

namespace moesim {

namespace {

std::vector<double> by_rank(std::span<const double> counts, int ranks) {
  const std::size_t each = counts.size() / static_cast<std::size_t>(ranks);
  std::vector<double> loads(static_cast<std::size_t>(ranks), 0.0);
  for (std::size_t e = 0; e < counts.size(); ++e) loads[e / each] += counts[e];
  return loads;
}

void fit_load_file(RouteFit& fit, const RouteFitOptions& options) {
  const MeasuredLoads loads = read_measured_loads(fit.file, options.where);
  fit.experts = loads.experts;
  fit.layer_ids = loads.layer_ids;
  for (const std::string& column : loads.summed_over)
    fit.notes.push_back(
        fmt::format("counts are added up over the column {}; --where {}=VALUE keeps one", column, column));
  for (std::size_t l = 0; l < loads.layer_ids.size(); ++l) {
    const auto counts = loads.layer(l);
    LayerFit layer{loads.layer_ids[l], fit_loads(counts), {}, {}, {}};
    layer.max_over_mean = bootstrap_max_over_mean(counts, options.resamples, options.seed);
    for (const int ranks : rank_counts(loads.experts))
      layer.ranks.push_back({ranks, rank_max_over_mean(counts, ranks),
                             bootstrap_max_over_mean(by_rank(counts, ranks), options.resamples, options.seed),
                             std::nullopt});
    fit.layers.push_back(std::move(layer));
  }
  fit.notes.emplace_back(
      "intervals draw every assignment anew; a file of loads does not tell which tokens went together");
}

void fit_pair_file(RouteFit& fit, const RouteFitOptions& options) {
  for (const LayerPair& pair : read_layer_pairs(fit.file, options.where)) {
    fit.pairs.push_back({pair.layers, fit_pair(pair)});
    fit.experts = std::max({fit.experts, pair.from_experts, pair.to_experts});
  }
}

/// Means over replicates of the generator, into the layers.
void compare_generated(RouteFit& fit, const TokenTrace& trace, const RouteFitOptions& options) {
  const double share = 1.0 / options.replicates;
  for (LayerFit& layer : fit.layers) {
    layer.tokens->generated_max_over_mean = layer.tokens->generated_overlap = 0;
    for (RankFit& rank : layer.ranks) rank.generated = 0;
  }
  for (int i = 0; i < options.replicates; ++i) {
    const auto numbers = measure(generate(*fit.generator, trace, static_cast<std::uint32_t>(i), options.seed));
    for (std::size_t l = 0; l < fit.layers.size(); ++l) {
      LayerFit& layer = fit.layers[l];
      layer.tokens->generated_max_over_mean += share * numbers[l].max_over_mean;
      layer.tokens->generated_overlap += share * numbers[l].overlap;
      for (std::size_t s = 0; s < layer.ranks.size(); ++s)
        *layer.ranks[s].generated += share * numbers[l].rank_max_over_mean[s];
    }
  }
}

void fit_token_file(RouteFit& fit, const RouteFitOptions& options) {
  const TokenTrace trace = read_token_trace(fit.file, options.experts);
  fit.experts = trace.experts;
  fit.top_k = trace.top_k;
  fit.tokens = trace.tokens();
  fit.requests = trace.requests();
  fit.layer_ids = trace.layer_ids;
  const auto numbers = measure(trace);
  const auto intervals = bootstrap(trace, options.resamples, options.seed);
  const auto affinity = next_layer_affinity(trace);
  fit.generator = fit_generator(trace, numbers);
  const std::vector<int> sizes = rank_counts(trace.experts);
  for (std::size_t l = 0; l < numbers.size(); ++l) {
    const TraceNumbers& of = numbers[l];
    LayerFit layer{trace.layer_ids[l], fit_loads(of.loads), intervals[l].max_over_mean, {}, TokenFit{}};
    for (std::size_t s = 0; s < sizes.size(); ++s)
      layer.ranks.push_back({sizes[s], of.rank_max_over_mean[s], intervals[l].rank_max_over_mean[s], 0.0});
    layer.tokens->overlap = of.overlap;
    layer.tokens->chance_overlap = of.chance_overlap;
    layer.tokens->far_overlap = of.far_overlap;
    layer.tokens->overlap_interval = intervals[l].overlap;
    layer.tokens->persistence = fit.generator->persistence[l];
    layer.tokens->shrinkage = fit.generator->shrinkage[l];
    if (l < affinity.size()) layer.tokens->next_layer_affinity = affinity[l];
    fit.layers.push_back(std::move(layer));
  }
  compare_generated(fit, trace, options);
  if (trace.requests() < 8)
    fit.notes.emplace_back(
        "fewer than 8 requests: intervals draw blocks of 32 tokens anew, which hides how requests differ");
  fit.notes.emplace_back(
      "not generated: overlap that decays over several tokens, and what one layer tells of the next");
}

double mean_kl(const RouteFit& fit, int family) {
  double sum = 0;
  for (const LayerFit& layer : fit.layers) sum += layer.loads.family[family].kl;
  return sum / static_cast<double>(fit.layers.size());
}

/// Median over layers of a family's parameter.
double median_parameter(const RouteFit& fit, int family) {
  std::vector<double> values;
  for (const LayerFit& layer : fit.layers)
    if (const auto parameter = layer.loads.family[family].parameter) values.push_back(*parameter);
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

std::string family_yaml(const RouteFit& fit) {
  // Power laws need their bounds per layer too; a scenario has one set for all, so they do not stand for election.
  int best = static_cast<int>(LoadFamily::uniform);
  for (const LoadFamily family : {LoadFamily::zipf, LoadFamily::dirichlet, LoadFamily::lognormal})
    if (mean_kl(fit, static_cast<int>(family)) < mean_kl(fit, best)) best = static_cast<int>(family);
  const double value = median_parameter(fit, best);
  const std::string about =
      fmt::format("  # median over {} layers; mean KL {:.4g}", fit.layers.size(), mean_kl(fit, best));
  switch (static_cast<LoadFamily>(best)) {
    case LoadFamily::zipf:
      return fmt::format("routing: {{kind: zipf, exponent: {:.4g}}}{}\n", value, about);
    case LoadFamily::dirichlet:
      return fmt::format("routing: {{kind: dirichlet, concentration: {:.4g}}}{}\n", value, about);
    case LoadFamily::lognormal:
      return fmt::format("routing: {{kind: lognormal, sigma: {:.4g}}}{}\n", value, about);
    default:
      return fmt::format("routing: {{kind: uniform}}{}\n", about);
  }
}

}  // namespace

RouteFit fit_route_file(const std::string& file, const RouteFitOptions& options) {
  RouteFit fit;
  fit.file = file;
  fit.kind = kind_of_route_file(file);
  if (fit.kind == RouteFile::tokens && !options.where.empty())
    throw InputError{"--where", options.where.front().first, "none: a trace is read whole"};
  switch (fit.kind) {
    case RouteFile::loads:
      fit_load_file(fit, options);
      break;
    case RouteFile::tokens:
      fit_token_file(fit, options);
      break;
    case RouteFile::pairs:
      fit_pair_file(fit, options);
      break;
  }
  return fit;
}

Reproduced reproduced(const RouteFit& fit) {
  Reproduced count;
  for (const LayerFit& layer : fit.layers) {
    if (!layer.tokens) continue;
    ++count.layers;
    count.max_over_mean += layer.max_over_mean.holds(layer.tokens->generated_max_over_mean);
    count.overlap += layer.tokens->overlap_interval.holds(layer.tokens->generated_overlap);
    for (const RankFit& rank : layer.ranks) count.ranks += rank.interval.holds(rank.generated.value_or(0));
    count.all_ranks += static_cast<int>(layer.ranks.size());
  }
  return count;
}

std::string routing_yaml(const RouteFit& fit, const std::string& csv_path) {
  if (fit.kind == RouteFile::pairs)
    throw InputError{"--out", "a file of layer pairs", "a file of loads or tokens: pairs alone give no generator"};
  if (!fit.generator) return family_yaml(fit);
  std::string weights;
  for (std::size_t d = 0; d < fit.generator->mixture.weights.size(); ++d)
    weights += fmt::format("{}d{}: {:.6f}", d ? ", " : "", d, fit.generator->mixture.weights[d]);
  return fmt::format("routing:\n  kind: mixture\n  file: {}\n  weights: {{{}}}\n", csv_path, weights);
}

std::string generator_csv(const RouteFit& fit) {
  if (!fit.generator) return {};
  constexpr double kTokens = 1e6;
  std::string text = "domain,layer,expert,count,persistence\n";
  const Mixture& mixture = fit.generator->mixture;
  for (std::size_t d = 0; d < mixture.domains.size(); ++d)
    for (std::size_t l = 0; l < fit.layer_ids.size(); ++l)
      for (int e = 0; e < fit.experts; ++e)
        text += fmt::format("d{},{},{},{:.0f},{:.4f}\n", d, fit.layer_ids[l], e,
                            kTokens * mixture.domains[d].layer(static_cast<int>(l))[static_cast<std::size_t>(e)],
                            fit.generator->persistence[l]);
  return text;
}

}  // namespace moesim
