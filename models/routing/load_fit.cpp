#include "models/routing/load_fit.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <stdexcept>

#include <fmt/format.h>

#include "models/routing/routing.hpp"
#include "models/routing/shares.hpp"
#include "models/units/random.hpp"

namespace moesim {

namespace {

/// Root of a falling function on [low, high] (the nearer end when it has none), to about 1e-10 of the range.
template <class Function>
double falling_root(double low, double high, Function&& value) {
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    (value(middle) > 0 ? low : high) = middle;
  }
  return (low + high) / 2;
}

/// Maximum likelihood: the mean of ln rank under the law equals the mean over assignments.
double zipf_likelihood(const std::vector<double>& sorted) {
  double total = 0, log_rank = 0;
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    total += sorted[i];
    log_rank += sorted[i] * std::log(static_cast<double>(i + 1));
  }
  return falling_root(0, 20, [&](double s) {
    double weights = 0, mean = 0;
    for (std::size_t i = 0; i < sorted.size(); ++i) {
      const double log_i = std::log(static_cast<double>(i + 1)), weight = std::exp(-s * log_i);
      weights += weight;
      mean += weight * log_i;
    }
    return mean / weights - log_rank / total;
  });
}

double zipf_slope(const std::vector<double>& sorted) {
  double n = 0, x = 0, y = 0, xx = 0, xy = 0;
  for (std::size_t i = 0; i < sorted.size() && sorted[i] > 0; ++i) {
    const double a = std::log(static_cast<double>(i + 1)), b = std::log(sorted[i]);
    n += 1;
    x += a;
    y += b;
    xx += a * a;
    xy += a * b;
  }
  const double spread = n * xx - x * x;
  return spread > 0 ? -(n * xy - x * y) / spread : 0;
}

/// Expected order statistics of Dirichlet shares, most popular first, from 400 draws.
std::vector<double> dirichlet_order(std::size_t experts, double concentration) {
  constexpr std::uint32_t kDraws = 400;
  std::vector<double> mean(experts, 0.0), draw(experts);
  for (std::uint32_t i = 0; i < kDraws; ++i) {
    Random random{1, Purpose::bootstrap, 1, 0, i};
    double sum = 0;
    for (double& share : draw) sum += share = random.gamma(concentration);
    std::sort(draw.begin(), draw.end(), std::greater<>{});
    if (!(sum > 0)) sum = draw[0] = 1;  // all underflow: one expert has all
    for (std::size_t e = 0; e < experts; ++e) mean[e] += draw[e] / sum / kDraws;
  }
  return mean;
}

/// Blom's positions: mean of the i-th largest of n standard normals, nearly.
std::vector<double> lognormal_order(std::size_t experts, double sigma) {
  std::vector<double> shares(experts);
  const auto n = static_cast<double>(experts);
  for (std::size_t i = 0; i < experts; ++i)
    shares[i] = std::exp(-sigma * normal_quantile((static_cast<double>(i) + 0.625) / (n + 0.25)));
  return shares;
}

std::vector<double> power_law_order(std::size_t experts, double alpha, double least, double most) {
  std::vector<double> loads(experts);
  for (std::size_t i = 0; i < experts; ++i)
    loads[i] =
        power_law_quantile(alpha, least, most, 1 - (static_cast<double>(i) + 0.5) / static_cast<double>(experts));
  return loads;
}

/// Maximum likelihood between the smallest and the largest load: y = ln(x / least) has density ~ exp((1 - alpha) y) on
/// [0, L], whose mean is L / (1 - exp(-(1 - alpha) L)) - 1 / (1 - alpha).
double power_law_likelihood(double mean_log, double length) {
  return falling_root(-20, 20, [&](double alpha) {
    const double a = 1 - alpha, x = a * length;
    const double mean = std::abs(x) < 1e-6 ? length / 2 + x * length / 12 : length / (1 - std::exp(-x)) - 1 / a;
    return mean - mean_log;
  });
}

void judge(FamilyFit& fit, const std::vector<double>& sorted, double total, std::vector<double> shares) {
  const double sum = std::accumulate(shares.begin(), shares.end(), 0.0);
  fit.kl = 0;
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    if (sorted[i] <= 0) continue;
    const double p = sorted[i] / total;
    fit.kl += p * std::log(p / std::max(shares[i] / sum, 1e-300));
  }
  fit.max_over_mean = imbalance(shares);
}

FamilyFit& of(LoadFit& fit, LoadFamily family) {
  return fit.family[static_cast<int>(family)];
}

/// Families of the logarithms of loads.
void fit_logarithms(LoadFit& fit, const std::vector<double>& sorted) {
  std::vector<double> logs;
  for (const double n : sorted) logs.push_back(std::log(std::max(n, 0.5)));
  const auto n = static_cast<double>(logs.size());
  const double mean = std::accumulate(logs.begin(), logs.end(), 0.0) / n;
  double squares = 0;
  for (const double value : logs) squares += (value - mean) * (value - mean);
  const double sigma = n > 1 ? std::sqrt(squares / (n - 1)) : 0;
  of(fit, LoadFamily::lognormal).parameter = sigma;
  judge(of(fit, LoadFamily::lognormal), sorted, fit.total, lognormal_order(logs.size(), sigma));
  const double length = logs.front() - logs.back();
  if (length <= 0) {
    judge(of(fit, LoadFamily::power_law), sorted, fit.total, std::vector<double>(logs.size(), 1.0));
    return;
  }
  const double alpha = power_law_likelihood(mean - logs.back(), length);
  of(fit, LoadFamily::power_law).parameter = alpha;
  judge(of(fit, LoadFamily::power_law), sorted, fit.total,
        power_law_order(logs.size(), alpha, std::exp(logs.back()), std::exp(logs.front())));
}

/// Counts of a resample, each Poisson with the count as mean: by products of uniforms, or the normal law from 40 on.
double poisson(double mean, Random& random) {
  if (mean > 40) return std::max(0.0, std::round(mean + std::sqrt(mean) * random.normal()));
  const double limit = std::exp(-mean);
  double product = random.uniform();
  int count = 0;
  for (; product > limit; ++count) product *= random.uniform();
  return count;
}

}  // namespace

const char* name_of(LoadFamily family) {
  constexpr const char* kNames[kLoadFamilies] = {"uniform", "zipf", "dirichlet", "lognormal", "power_law"};
  return kNames[static_cast<int>(family)];
}

LoadFit fit_loads(std::span<const double> counts) {
  LoadFit fit;
  std::vector<double> sorted{counts.begin(), counts.end()};
  for (const double n : sorted)
    if (!std::isfinite(n) || n < 0) throw std::invalid_argument{fmt::format("a count of {}", n)};
  fit.total = std::accumulate(sorted.begin(), sorted.end(), 0.0);
  if (!(fit.total > 0)) throw std::invalid_argument{"loads that are all zero"};
  std::sort(sorted.begin(), sorted.end(), std::greater<>{});
  const auto experts = static_cast<double>(sorted.size());
  double variance = 0;  // of the shares
  for (const double n : sorted) variance += std::pow(n / fit.total - 1 / experts, 2) / experts;
  fit.max_over_mean = imbalance(counts);
  fit.cv = std::sqrt(variance) * experts;
  fit.zipf_exponent = zipf_likelihood(sorted);
  fit.zipf_regression = zipf_slope(sorted);
  fit.kl_noise = (experts - 1) / (2 * fit.total);

  judge(of(fit, LoadFamily::uniform), sorted, fit.total, std::vector<double>(sorted.size(), 1.0));
  of(fit, LoadFamily::zipf).parameter = fit.zipf_exponent;
  judge(of(fit, LoadFamily::zipf), sorted, fit.total, zipf_shares(static_cast<int>(sorted.size()), fit.zipf_exponent));
  const double a = variance > 0 ? ((1 / experts) * (1 - 1 / experts) / variance - 1) / experts : 0;
  if (a > 0) fit.dirichlet_concentration = of(fit, LoadFamily::dirichlet).parameter = a;
  judge(of(fit, LoadFamily::dirichlet), sorted, fit.total,
        a > 0 ? dirichlet_order(sorted.size(), a) : std::vector<double>(sorted.size(), 1.0));
  fit_logarithms(fit, sorted);
  for (int f = 0; f < kLoadFamilies; ++f)
    if (fit.family[f].kl < of(fit, fit.best).kl - 1e-12) fit.best = static_cast<LoadFamily>(f);
  return fit;
}

Interval interval_of(std::vector<double>& values) {
  if (values.empty()) throw std::invalid_argument{"an interval of no values"};
  std::sort(values.begin(), values.end());
  const auto quantile = [&](double p) {
    const double place = p * static_cast<double>(values.size() - 1);
    const auto below = static_cast<std::size_t>(place);
    const std::size_t above = std::min(below + 1, values.size() - 1);
    return values[below] + (place - static_cast<double>(below)) * (values[above] - values[below]);
  };
  return {quantile(0.025), quantile(0.975)};
}

Interval bootstrap_max_over_mean(std::span<const double> counts, int resamples, std::uint64_t seed) {
  std::vector<double> values, again(counts.size());
  for (int i = 0; i < resamples; ++i) {
    Random random{seed, Purpose::bootstrap, 0, 0, static_cast<std::uint32_t>(i)};
    for (std::size_t e = 0; e < counts.size(); ++e) again[e] = poisson(counts[e], random);
    values.push_back(imbalance(again));
  }
  return interval_of(values);
}

double rank_max_over_mean(std::span<const double> counts, int ranks) {
  const auto all = static_cast<std::size_t>(ranks);
  if (ranks < 1 || counts.size() % all != 0)
    throw std::invalid_argument{fmt::format("{} experts on {} ranks", counts.size(), ranks)};
  const std::size_t each = counts.size() / all;
  std::vector<double> load;
  for (std::size_t r = 0; r < all; ++r)
    load.push_back(std::accumulate(counts.begin() + static_cast<std::ptrdiff_t>(r * each),
                                   counts.begin() + static_cast<std::ptrdiff_t>((r + 1) * each), 0.0));
  return imbalance(load);
}

std::vector<int> rank_counts(int experts) {
  std::vector<int> counts;
  for (int ranks = 2; ranks <= experts && experts % ranks == 0; ranks *= 2) counts.push_back(ranks);
  return counts;
}

}  // namespace moesim
