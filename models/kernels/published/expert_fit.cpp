#include "models/kernels/published/expert_fit.hpp"

#include <algorithm>
#include <optional>
#include <set>

#include "models/kernels/published/expert_curves.hpp"

namespace moesim {
namespace {

/// Microseconds by slots; of equal ones the last measured.
using TimesBySlots = std::map<int, double>;

/// As many rows as that, within one of each other.
std::vector<std::int32_t> even_rows(double size, int slots) {
  const auto rows = static_cast<std::int64_t>(size);
  std::vector<std::int32_t> even(static_cast<std::size_t>(slots), static_cast<std::int32_t>(rows / slots));
  for (std::int64_t i = 0; i < rows % slots; ++i) ++even[static_cast<std::size_t>(i)];
  return even;
}

struct Line {
  double at_zero = 0, slope = 0;
};

/// Least squares of the relative errors.
Line line_through(const std::vector<CurvePoint>& points) {
  double weight = 0, x = 0, y = 0, xx = 0, xy = 0;
  for (const CurvePoint& point : points) {
    const double w = 1 / (point.microseconds * point.microseconds);
    weight += w;
    x += w * point.size;
    y += w * point.microseconds;
    xx += w * point.size * point.size;
    xy += w * point.size * point.microseconds;
  }
  const double slope = (weight * xy - x * y) / (weight * xx - x * x);
  return {(y - slope * x) / weight, slope};
}

/// Times of ranks into whose kernel all tokens went, by tokens and slots.
std::map<int, TimesBySlots> times_of_all_tokens(const std::vector<int>& dimensions, const SplitPoints& points,
                                                const CollectorHabits& habits) {
  std::map<int, TimesBySlots> times;
  for (const auto& [at, measured] : points.fitted)
    for (const MeasuredPoint* point : measured)
      if (point->tokens > 0 && balanced_batch(routing_of(dimensions, *point), habits).tokens == point->tokens)
        times[point->tokens][static_cast<int>(at[0])] = point->microseconds;
  return times;
}

/// Of few slots alone: ranks with many read weights most of the time. At least three counts of them.
constexpr int kFewSlots = 16;

/// What tokens take when no expert is left: where the line through few slots ends.
std::optional<double> without_slots(const TimesBySlots& times) {
  std::vector<CurvePoint> few;
  for (const auto& [slots, microseconds] : times)
    if (slots <= kFewSlots || few.size() < 3) few.push_back({static_cast<double>(slots), microseconds});
  if (few.size() < 2) return std::nullopt;
  const double end = line_through(few).at_zero;
  return std::clamp(end, 0.0, few.front().microseconds);
}

Seconds time_per_token(const std::map<int, TimesBySlots>& times) {
  constexpr int kLargest = 16;  // launches and reading weights take most of the time of fewer tokens than Tmax / 16
  std::vector<CurvePoint> by_tokens;
  for (const auto& [tokens, by_slots] : times)
    if (tokens * kLargest >= times.rbegin()->first)
      if (const auto rest = without_slots(by_slots); rest && *rest > 0)
        by_tokens.push_back({static_cast<double>(tokens), *rest});
  if (by_tokens.size() < 3) return Seconds{0};
  return Seconds{three_digits(std::max(0.0, line_through(by_tokens).slope)) * 1e-6};
}

/// Pairs of other ranks ran: two ranks are not faster than one at the most tokens that both were measured with.
bool other_pairs_ran(const std::vector<int>& dimensions, const SplitPoints& points, const CollectorHabits& habits) {
  if (!habits.only_local_tokens) return false;
  const double experts = dimensions[2];
  const auto one = points.fitted.find({experts}), two = points.fitted.find({experts / 2});
  if (one == points.fitted.end() || two == points.fitted.end()) return false;
  int tokens = 0;
  double ratio = 0;
  for (const MeasuredPoint* a : one->second)
    for (const MeasuredPoint* b : two->second)
      if (a->tokens == b->tokens && a->tokens > tokens) {
        tokens = a->tokens;
        ratio = b->microseconds / a->microseconds;
      }
  return ratio > 0.8;
}

class Fit {
public:
  Fit(const TableKey& key, const SplitPoints& points, const Gpu& gpu, double tolerance)
      : points_{points}, gpu_{gpu}, tolerance_{tolerance} {
    made_.habits = collector_habits(key.kernel);
    made_.table = {key.operation, key.kernel, key.format, key.dimensions, {}};
    made_.habits.other_pairs_on_first_expert = other_pairs_ran(key.dimensions, points, made_.habits);
  }

  FittedExperts made() && {
    if (made_.habits.other_pairs_on_first_expert) {
      fit_whole();
    } else {
      made_.table.per_token = time_per_token(times_of_all_tokens(made_.table.dimensions, points_, made_.habits));
    }
    for (const auto& [at, measured] : points_.fitted) {
      std::vector<CurvePoint> even;
      for (const MeasuredPoint* point : measured) even.push_back({point->size, even_time(*point)});
      made_.table.curves.push_back(fit_curve(at, even, tolerance_));
      for (double& microseconds : made_.table.curves.back().microseconds) microseconds = three_digits(microseconds);
    }
    return std::move(made_);
  }

private:
  void fit_whole() {
    const double experts = made_.table.dimensions[2];
    KernelTable whole = made_.table;
    whole.curves = {fit_curve({experts}, curve_points(points_.fitted.at({experts})), tolerance_)};
    whole_.emplace(whole, gpu_, static_cast<int>(experts));
  }

  /// Had all tokens of the group entered, and no pairs of other ranks run.
  double even_time(const MeasuredPoint& point) const {
    if (point.tokens == 0) return point.microseconds;
    const CollectorRouting routing = routing_of(made_.table.dimensions, point);
    const CollectedBatch ran = balanced_batch(routing, made_.habits);
    if (whole_ && point.ranks > 1)
      return point.microseconds * ((*whole_)(balanced_batch(routing).rows) / (*whole_)(ran.rows));
    return point.microseconds + made_.table.per_token.value() * 1e6 * static_cast<double>(point.tokens - ran.tokens);
  }

  const SplitPoints& points_;
  const Gpu& gpu_;
  double tolerance_;
  FittedExperts made_;
  std::optional<ExpertCurves> whole_;  ///< all experts on one rank, where other ranks' pairs ran
};

double microseconds(const ExpertCurves& curves, const CollectedBatch& batch) {
  return curves(batch.rows, static_cast<double>(batch.tokens)).value() * 1e6;
}

/// Predicts what the collector measured.
class Judge {
public:
  Judge(const FittedExperts& fitted, const SplitPoints& points, const Gpu& gpu, PowerLawBatches& batches,
        Verdicts& verdicts)
      : table_{fitted.table},
        habits_{fitted.habits},
        points_{points},
        gpu_{gpu},
        batches_{batches},
        verdicts_{verdicts} {}

  void balanced() {
    for (const MeasuredPoint* point : points_.held_out)
      against_roofline(uneven(*point) ? "balanced, others' pairs on one expert" : "balanced",
                       curves_of(static_cast<int>(point->at[0])), *point);
  }

  /// Every count of slots between the least and the most, from the others.
  void unseen_slots() {
    for (const Curve& curve : table_.curves) {
      if (curve.at == table_.curves.front().at || curve.at == table_.curves.back().at) continue;
      KernelTable rest = table_;
      std::erase_if(rest.curves, [&](const Curve& other) { return other.at == curve.at; });
      const ExpertCurves curves{rest, gpu_, static_cast<int>(curve.at[0])};
      for (const MeasuredPoint* point : points_.fitted.at(curve.at)) {
        if (uneven(*point)) {
          verdicts_.add(table_.operation, "unseen slots", "roofline",
                        curves(even_rows(point->size, curves.slots())).value() * 1e6,
                        KernelCeiling{gpu_, table_}.microseconds(point->at, point->size),
                        interpolate(curve, point->size));
        } else {
          against_roofline("unseen slots", curves, *point);
        }
      }
    }
  }

  void skewed() {
    constexpr double kFewTokens = 512;  // below, few experts are active
    for (const MeasuredPoint* point : points_.skewed) {
      if (points_.fitted.find(point->at) == points_.fitted.end()) continue;
      const ExpertCurves& curves = curves_of(static_cast<int>(point->at[0]));
      const CollectorRouting routing = routing_of(table_.dimensions, *point);
      const std::vector<CollectedBatch>& drawn = batches_.of(routing, point->skew, habits_);
      verdicts_.add(table_.operation,
                    point->tokens <= kFewTokens ? "skewed, to 512 tokens" : "skewed, above 512 tokens", "mean rows",
                    mean_microseconds(curves, drawn), microseconds(curves, routed(*point)), point->microseconds);
    }
  }

private:
  CollectedBatch routed(const MeasuredPoint& point) const {
    return balanced_batch(routing_of(table_.dimensions, point), habits_);
  }

  const ExpertCurves& curves_of(int slots) { return curves_.try_emplace(slots, table_, gpu_, slots).first->second; }

  /// The collector gave other ranks' pairs to one expert: not what balanced routing is.
  bool uneven(const MeasuredPoint& point) const { return habits_.other_pairs_on_first_expert && point.ranks > 1; }

  void against_roofline(const char* regime, const ExpertCurves& curves, const MeasuredPoint& point) {
    const double predicted = point.tokens == 0 ? curves(even_rows(point.size, curves.slots())).value() * 1e6
                                               : microseconds(curves, routed(point));
    verdicts_.add(table_.operation, regime, "roofline", predicted,
                  KernelCeiling{gpu_, table_}.microseconds(point.at, point.size), point.microseconds);
  }

  const KernelTable& table_;
  const CollectorHabits& habits_;
  const SplitPoints& points_;
  const Gpu& gpu_;
  PowerLawBatches& batches_;
  Verdicts& verdicts_;
  std::map<int, ExpertCurves> curves_;
};

}  // namespace

CollectorRouting routing_of(const std::vector<int>& dimensions, const MeasuredPoint& point) {
  return {point.tokens, dimensions[2], dimensions[3], point.ranks};
}

double mean_microseconds(const ExpertCurves& curves, const std::vector<CollectedBatch>& drawn) {
  double sum = 0;
  for (const CollectedBatch& batch : drawn) sum += microseconds(curves, batch);
  return sum / static_cast<double>(drawn.size());
}

FittedExperts fit_experts(const TableKey& key, const SplitPoints& points, const Gpu& gpu, double tolerance) {
  return Fit{key, points, gpu, tolerance}.made();
}

void judge_experts(const FittedExperts& fitted, const SplitPoints& points, const Gpu& gpu, PowerLawBatches& batches,
                   Verdicts& verdicts) {
  Judge judge{fitted, points, gpu, batches, verdicts};
  judge.balanced();
  judge.unseen_slots();
  judge.skewed();
}

}  // namespace moesim
