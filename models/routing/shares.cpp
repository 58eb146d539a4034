#include "models/routing/shares.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include <fmt/format.h>

#include "models/routing/routing.hpp"

namespace moesim {

std::vector<double> zipf_shares(int experts, double exponent) {
  if (experts < 1 || !std::isfinite(exponent) || exponent < 0)
    throw std::invalid_argument{fmt::format("zipf shares of {} experts with exponent {}", experts, exponent)};
  std::vector<double> shares(static_cast<std::size_t>(experts));
  double sum = 0;
  for (std::size_t i = 0; i < shares.size(); ++i) sum += shares[i] = std::pow(static_cast<double>(i + 1), -exponent);
  for (double& share : shares) share /= sum;
  return shares;
}

namespace {

double checked_sum(std::span<const double> shares) {
  double sum = 0;
  for (const double share : shares) {
    if (!std::isfinite(share) || share < 0) throw std::invalid_argument{fmt::format("a share of {}", share)};
    sum += share;
  }
  if (!(sum > 0)) throw std::invalid_argument{"shares that sum to zero"};
  return sum;
}

}  // namespace

std::vector<double> water_fill(std::span<const double> shares, int top_k, double cap) {
  checked_sum(shares);
  const auto experts = static_cast<double>(shares.size());
  if (top_k < 1 || !(cap * experts >= top_k * (1 - 1e-12)))
    throw std::invalid_argument{fmt::format("top {} of {} experts with at most {} each", top_k, shares.size(), cap)};
  std::vector<double> inclusion(shares.size(), 0.0);
  std::vector<bool> full(shares.size(), false);
  double left = top_k;
  for (;;) {
    double open_shares = 0, open = 0;
    for (std::size_t e = 0; e < shares.size(); ++e)
      if (!full[e]) {
        open_shares += shares[e];
        ++open;
      }
    bool overflow = false;
    double filled = 0;
    for (std::size_t e = 0; e < shares.size(); ++e) {
      if (full[e]) continue;
      inclusion[e] = open_shares > 0 ? left * shares[e] / open_shares : left / open;
      if (inclusion[e] < cap) continue;
      inclusion[e] = cap;
      filled += cap;
      full[e] = overflow = true;
    }
    left = std::max(0.0, left - filled);
    if (!overflow || std::all_of(full.begin(), full.end(), [](bool f) { return f; })) return inclusion;
  }
}

double power_law_quantile(double alpha, double least, double most, double u) {
  const double power = 1 - alpha;
  // Near alpha = 1 the distribution function is the logarithm.
  if (std::abs(power) < 1e-9) return least * std::pow(most / least, u);
  const double low = std::pow(least, power), high = std::pow(most, power);
  return std::pow(low + u * (high - low), 1 / power);
}

double imbalance(std::span<const double> load) {
  double sum = 0, most = 0;
  for (const double n : load) {
    sum += n;
    most = std::max(most, n);
  }
  return sum > 0 ? most * static_cast<double>(load.size()) / sum : 1.0;
}

std::string_view name_of(RoutingKind kind) {
  switch (kind) {
    case RoutingKind::uniform:
      return "uniform";
    case RoutingKind::balanced:
      return "balanced";
    case RoutingKind::zipf:
      return "zipf";
    case RoutingKind::dirichlet:
      return "dirichlet";
    case RoutingKind::lognormal:
      return "lognormal";
    case RoutingKind::power_law:
      return "power_law";
    case RoutingKind::histogram:
      return "histogram";
    case RoutingKind::mixture:
      return "mixture";
    case RoutingKind::markov:
      return "markov";
    case RoutingKind::logits:
      return "logits";
    case RoutingKind::expert_choice:
      return "expert_choice";
    case RoutingKind::trace:
      return "trace";
  }
  return "";
}

bool has_aggregate_law(RoutingKind kind) {
  switch (kind) {
    case RoutingKind::mixture:        // tokens of one request share a domain
    case RoutingKind::markov:         // layers and steps depend on each other
    case RoutingKind::logits:         // another law of a token than the conditional Poisson design
    case RoutingKind::expert_choice:  // loads are fixed, and a token's number of experts varies
    case RoutingKind::trace:
      return false;
    default:
      return true;
  }
}

bool has_logits(RoutingKind kind) {
  return kind == RoutingKind::logits;
}

}  // namespace moesim
