#include <algorithm>

#include <fmt/format.h>

#include "models/units/text.hpp"
#include "sim/cli/command_routing.hpp"

namespace moesim {
namespace {

std::string interval(const Interval& of) {
  return fmt::format("{:.2f}-{:.2f}", of.low, of.high);
}

std::string load_table(const RouteFit& fit) {
  std::string text = fmt::format("{:>6}{:>10}{:>12}{:>8}{:>8}{:>9}{:>13}   {:<11}{:>8}{:>9}\n", "layer", "max/mean",
                                 "95 %", "cv", "zipf s", "log-log", "dirichlet a", "nearest", "KL", "noise");
  for (const LayerFit& layer : fit.layers) {
    const LoadFit& loads = layer.loads;
    const auto concentration = loads.dirichlet_concentration;
    text += fmt::format("{:>6}{:>10.3f}{:>12}{:>8.3f}{:>8.3f}{:>9.3f}{:>13}   {:<11}{:>8.4f}{:>9.5f}\n", layer.layer,
                        loads.max_over_mean, interval(layer.max_over_mean), loads.cv, loads.zipf_exponent,
                        loads.zipf_regression, concentration ? fmt::format("{:.2f}", *concentration) : "-",
                        name_of(loads.best), loads.family[static_cast<int>(loads.best)].kl, loads.kl_noise);
  }
  return text;
}

std::string rank_table(const RouteFit& fit) {
  if (fit.layers.empty() || fit.layers.front().ranks.empty()) return {};
  std::string text = "\nmax/mean load of ranks with consecutive experts, 95 %\n\n" + fmt::format("{:>6}", "layer");
  for (const RankFit& rank : fit.layers.front().ranks) text += fmt::format("{:>18}", fmt::format("EP{}", rank.ranks));
  text += "\n";
  for (const LayerFit& layer : fit.layers) {
    text += fmt::format("{:>6}", layer.layer);
    for (const RankFit& rank : layer.ranks)
      text += fmt::format("{:>18}", fmt::format("{:.3f} {}", rank.max_over_mean, interval(rank.interval)));
    text += "\n";
  }
  return text;
}

std::string token_table(const RouteFit& fit) {
  if (!fit.generator) return {};
  std::string text = "\nexperts in common with the token before, and what the fitted generator shows\n\n";
  text += fmt::format("{:>6}{:>9}{:>12}{:>8}{:>8}{:>13}{:>9}{:>12}{:>11}{:>11}\n", "layer", "overlap", "95 %", "chance",
                      "far", "persistence", "domains", "next layer", "overlap'", "max/mean'");
  for (const LayerFit& layer : fit.layers) {
    const TokenFit& of = *layer.tokens;
    text += fmt::format("{:>6}{:>9.3f}{:>12}{:>8.3f}{:>8.3f}{:>13.3f}{:>9.2f}{:>12}{:>11.3f}{:>11.3f}\n", layer.layer,
                        of.overlap, interval(of.overlap_interval), of.chance_overlap, of.far_overlap, of.persistence,
                        of.shrinkage, of.next_layer_affinity ? fmt::format("{:.2f}", *of.next_layer_affinity) : "-",
                        of.generated_overlap, of.generated_max_over_mean);
  }
  const Reproduced count = reproduced(fit);
  return text + fmt::format(
                    "\ngenerator: mixture of {} domain{} with persistence; inside the trace's 95 % intervals: max/mean "
                    "{} of {} layers, overlap {} of {}, rank imbalance {} of {}\n",
                    fit.generator->mixture.domains.size(), fit.generator->mixture.domains.size() == 1 ? "" : "s",
                    count.max_over_mean, count.layers, count.overlap, count.layers, count.ranks, count.all_ranks);
}

std::string pair_table(const RouteFit& fit) {
  std::string text =
      fmt::format("{:>10}{:>24}{:>12}{:>15}\n", "layers", "mutual information / H", "affinity", "largest lift");
  for (const NamedPairFit& pair : fit.pairs)
    text += fmt::format("{:>10}{:>24.4f}{:>12.4f}{:>15.2f}\n", pair.layers, pair.fit.mutual_information_share,
                        pair.fit.affinity, pair.fit.largest_lift);
  return text;
}

}  // namespace

std::string routing_fit_text(const RouteFit& fit) {
  std::string text = fit.file + "\n";
  if (fit.kind == RouteFile::tokens)
    text += fmt::format("{} tokens of {} requests, top {} of {} experts, {} layers\n\n",
                        with_commas(static_cast<long long>(fit.tokens)), fit.requests, fit.top_k, fit.experts,
                        fit.layers.size());
  else
    text += fmt::format("{} experts, {} {}\n\n", fit.experts, fit.layers.size() + fit.pairs.size(),
                        fit.kind == RouteFile::pairs ? "pairs of layers" : "layers");
  text += fit.kind == RouteFile::pairs ? pair_table(fit) : load_table(fit) + rank_table(fit) + token_table(fit);
  for (const std::string& note : fit.notes) text += fmt::format("note: {}\n", note);
  return text;
}

std::string routing_control_text(const RoutingControl& control) {
  std::string text = fmt::format(
      "{}: one MoE layer, {} tokens a step, logits {} + {} z; growth {}, bias rate {}\n\n{:>6}{:>22}{:>22}{:>12}\n"
      "{:>6}{:>11}{:>11}{:>11}{:>11}{:>12}\n",
      control.model, control.spec.tokens, control.routing.spread, control.routing.sigma, control.spec.growth,
      control.spec.rate, "", "without control", "with bias", "", "step", "max/mean", "idle", "max/mean", "idle",
      "bias range");
  const std::size_t steps = control.free.size(), every = std::max<std::size_t>(1, (steps + 19) / 20);
  for (std::size_t i = 0; i < steps; ++i) {
    if (i % every != 0 && i + 1 != steps) continue;
    const BiasControlStep &a = control.free[i], &b = control.controlled[i];
    text += fmt::format("{:>6}{:>11.2f}{:>10.0f}%{:>11.2f}{:>10.0f}%{:>12.3f}\n", a.step, a.max_over_mean,
                        100 * a.idle_share, b.max_over_mean, 100 * b.idle_share, b.bias_range);
  }
  return text;
}

}  // namespace moesim
