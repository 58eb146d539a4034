#include "models/routing/design_fit.hpp"

#include <algorithm>
#include <cmath>

namespace moesim {

namespace {

constexpr double kTolerance = 1e-11;  // of every inclusion probability
constexpr double kSure = 1 - 1e-12;   // from here on an expert is taken by every token
constexpr double kLargestStep = 2;    // in log w: more is extrapolation
constexpr int kMostIterations = 80;   // convergent fits take 5 to 25
constexpr int kFreshCovariances = 4;  // the groups' covariance hardly moves after so many iterations
constexpr std::size_t kMemory = 6;    // past steps that the acceleration looks back on

/// a x = b for a symmetric positive definite a, by Gauss without pivoting.
std::vector<double> solve_positive(std::vector<double> a, std::vector<double> b) {
  const std::size_t n = b.size();
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t r = i + 1; r < n; ++r) {
      const double factor = a[r * n + i] / a[i * n + i];
      for (std::size_t j = i; j < n; ++j) a[r * n + j] -= factor * a[i * n + j];
      b[r] -= factor * b[i];
    }
  for (std::size_t i = n; i-- > 0;) {
    for (std::size_t j = i + 1; j < n; ++j) b[i] -= a[i * n + j] * b[j];
    b[i] /= a[i * n + i];
  }
  return b;
}

class Fit {
public:
  Fit(const RouterShape& shape, std::span<const double> wanted)
      : shape_{shape}, wanted_{wanted}, log_w_(wanted.size(), 0.0), is_free_(wanted.size()) {
    odds_.take.resize(wanted.size());
    odds_.leave.resize(wanted.size());
    for (std::size_t e = 0; e < wanted.size(); ++e) is_free_[e] = wanted[e] > 0 && wanted[e] < kSure;
    const double in_kept_groups = static_cast<double>(shape.groups) / shape.kept;
    for (std::size_t e = 0; e < wanted.size(); ++e) {
      const double start = std::min(0.9, wanted[e] * in_kept_groups);
      if (is_free_[e]) log_w_[e] = std::log(start / (1 - start));
      odds_.take[e] = wanted[e] > 0 ? 1 : 0;
      odds_.leave[e] = 1 - odds_.take[e];
    }
  }

  std::optional<ExpertOdds> run() {
    if (!move_by({}, 0)) return std::nullopt;
    bool stalled = false;
    for (int i = 0; i < kMostIterations && error_ > kTolerance; ++i) {
      if (i < kFreshCovariances || stalled) refresh_covariance();
      const auto step = newton_step();
      stalled = !move_by(accelerated(step), 1);
      if (!stalled) continue;
      pasts_.clear();
      double scale = 1;
      while (!move_by(step, scale) && scale > 1e-2) scale /= 2;
      if (scale <= 1e-2) return std::nullopt;
    }
    if (error_ > kTolerance) return std::nullopt;
    return odds_;
  }

private:
  /// Moves log w by scale * step if that lowers the largest error.
  bool move_by(const std::vector<double>& step, double scale) {
    std::vector<double> log_w = log_w_;
    for (std::size_t e = 0; e < step.size(); ++e) log_w[e] += std::clamp(scale * step[e], -kLargestStep, kLargestStep);
    centre(log_w);
    ExpertOdds odds = odds_;
    for (std::size_t e = 0; e < log_w.size(); ++e)
      if (is_free_[e]) {
        odds.take[e] = 1 / (1 + std::exp(-log_w[e]));
        odds.leave[e] = 1 / (1 + std::exp(log_w[e]));
      }
    OddsEvaluation sums{shape_, odds};
    double error = 0;
    for (std::size_t e = 0; e < wanted_.size(); ++e) error = std::max(error, std::abs(sums.inclusion[e] - wanted_[e]));
    if (!std::isfinite(error) || !(sums.total > 1e-250) || (!step.empty() && error >= error_)) return false;
    error_ = error;
    log_w_ = std::move(log_w);
    odds_ = std::move(odds);
    sums_ = std::move(sums);
    return true;
  }

  /// A common factor of all weights changes nothing; the sums are best scaled when about k experts would be taken.
  void centre(std::vector<double>& log_w) const {
    double taken = 0, varies = 0, target = 0;
    for (std::size_t e = 0; e < log_w.size(); ++e) {
      if (!is_free_[e]) continue;
      const double take = 1 / (1 + std::exp(-log_w[e]));
      taken += take;
      varies += take * (1 - take);
      target += std::min(0.9, wanted_[e] * shape_.groups / shape_.kept);
    }
    if (varies <= 0) return;
    const double shift = std::clamp((target - taken) / varies, -1.0, 1.0);
    for (double& value : log_w) value += shift;
  }

  /// Newton's method with the covariance of the design approximated: the slopes on the exact covariance of the groups'
  /// counts, and within a group that of independent draws conditioned on its count (Hajek).
  std::vector<double> newton_step() const {
    const auto size = static_cast<std::size_t>(shape_.group_size());
    const auto groups = static_cast<std::size_t>(shape_.groups);
    std::vector<double> step(wanted_.size(), 0.0), left(size), missing(groups, 0.0), own(groups, 0.0);
    for (std::size_t e = 0; e < step.size(); ++e)
      if (const double v = variance(e); v > 0) {
        const double have = sums_.inclusion[e];
        step[e] = v * (std::log(wanted_[e] / have) - std::log((1 - wanted_[e]) / (1 - have)));
        missing[e / size] += step[e];
      }
    for (std::size_t g = 0; g < groups; ++g) {
      for (std::size_t i = 0; i < size; ++i) {
        const std::size_t e = g * size + i;
        left[i] = std::max(0.1 * variance(e), variance(e) - slopes_[e] * slopes_[e] * covariance_[g * groups + g]);
      }
      const auto c = unconditioned_variances(left);
      double moved = 0, spread = 0;
      for (std::size_t i = 0; i < size; ++i) {
        const std::size_t e = g * size + i;
        if (!(left[i] > 0)) continue;
        // In one group the counts are constant, and only what keeps the sum can be missing.
        const double share = groups > 1 ? slopes_[e] : c[i];
        spread += share;
        step[e] = (step[e] - (groups > 1 ? share * missing[g] : 0)) / c[i];
        moved += share * step[e];
      }
      if (spread > 0) own[g] = moved / spread;
    }
    const auto between = solve_groups(covariance_, std::move(missing));
    for (std::size_t e = 0; e < step.size(); ++e)
      if (is_free_[e]) step[e] += between[e / size] - own[e / size];
    return step;
  }

  double variance(std::size_t e) const { return is_free_[e] ? sums_.inclusion[e] * (1 - sums_.inclusion[e]) : 0; }

  void refresh_covariance() {
    covariance_ = covariance_of_groups(shape_, sums_.in, sums_.out);
    slopes_ = slopes_on_groups(shape_, odds_, covariance_);
  }

  /// Anderson's acceleration: the combination of past steps that would have left the smallest step now
  /// (Walker, Ni, SIAM J. Numer. Anal. 49(4), 2011). Steps are weighed by the variance of the inclusion they move.
  std::vector<double> accelerated(const std::vector<double>& step) {
    if (!last_step_.empty()) {
      Past past{log_w_, step};
      for (std::size_t e = 0; e < step.size(); ++e) {
        past.moved[e] -= last_log_w_[e];
        past.changed[e] -= last_step_[e];
      }
      if (pasts_.size() == kMemory) pasts_.erase(pasts_.begin());
      pasts_.push_back(std::move(past));
    }
    last_log_w_ = log_w_;
    last_step_ = step;
    const std::size_t n = pasts_.size();
    std::vector<double> a(n * n, 0.0), b(n, 0.0), combined = step;
    for (std::size_t e = 0; e < step.size(); ++e) {
      const double weight = wanted_[e] * (1 - wanted_[e]);
      for (std::size_t i = 0; i < n; ++i) {
        b[i] += weight * pasts_[i].changed[e] * step[e];
        for (std::size_t j = 0; j < n; ++j) a[i * n + j] += weight * pasts_[i].changed[e] * pasts_[j].changed[e];
      }
    }
    for (std::size_t i = 0; i < n; ++i) a[i * n + i] *= 1 + 1e-10;
    b = solve_positive(std::move(a), std::move(b));
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t e = 0; e < step.size(); ++e) combined[e] -= b[i] * (pasts_[i].moved[e] + pasts_[i].changed[e]);
    return combined;
  }

  /// covariance * x = b. The covariance is singular (counts sum to k), so the common shift is pinned to zero.
  std::vector<double> solve_groups(std::vector<double> a, std::vector<double> b) const {
    const std::size_t n = b.size();
    if (n == 1) return {0.0};
    double trace = 0, mean = 0;
    for (std::size_t i = 0; i < n; ++i) trace += a[i * n + i];
    for (const double value : b) mean += value / static_cast<double>(n);
    for (std::size_t i = 0; i < n; ++i) {
      b[i] -= mean;
      for (std::size_t j = 0; j < n; ++j) a[i * n + j] += trace / static_cast<double>(n * n);
      a[i * n + i] += 1e-9 * trace + 1e-300;
    }
    return solve_positive(std::move(a), std::move(b));
  }

  struct Past {
    std::vector<double> moved, changed;  // of log w and of the step, from one iteration to the next
  };

  RouterShape shape_;
  std::span<const double> wanted_;
  std::vector<Past> pasts_;
  std::vector<double> last_log_w_, last_step_, covariance_, slopes_;
  std::vector<double> log_w_;
  std::vector<bool> is_free_;
  ExpertOdds odds_;
  OddsEvaluation sums_{RouterShape{1, 1, 1, 1}, ExpertOdds{{1.0}, {0.0}}};
  double error_ = 1e300;
};

}  // namespace

std::optional<ExpertOdds> fit_odds(const RouterShape& shape, std::span<const double> inclusion) {
  if (inclusion.size() != static_cast<std::size_t>(shape.experts)) return std::nullopt;
  double sum = 0;
  for (const double value : inclusion) {
    if (!(value >= 0 && value <= 1 + 1e-9)) return std::nullopt;
    sum += value;
  }
  if (std::abs(sum - shape.top_k) > 1e-9 * shape.top_k) return std::nullopt;
  return Fit{shape, inclusion}.run();
}

bool can_realise(const RouterShape& shape, std::span<const double> inclusion) {
  return fit_odds(shape, inclusion).has_value();
}

}  // namespace moesim
