#include <algorithm>
#include <cmath>
#include <set>

#include <fmt/format.h>

#include "models/kernels/published/collector_histogram.hpp"
#include "models/kernels/published/curve_grid.hpp"
#include "models/kernels/published/expert_curves.hpp"
#include "models/kernels/published/judged_ratios.hpp"
#include "models/kernels/published/measured_points.hpp"
#include "models/units/error.hpp"

namespace moesim {
namespace {

/// Knots that the others predict to within this are not stored. Dense products are two thirds of all rows, and their
/// neighbouring sizes differ by as much from run to run. Tables of MLA are small.
double knot_tolerance(KernelOperation operation) {
  switch (operation) {
    case KernelOperation::gemm:
      return 0.09;
    case KernelOperation::prefill_mla:
    case KernelOperation::decode_mla:
    case KernelOperation::mla_in:
    case KernelOperation::mla_out:
      return 0.03;
    default:
      return 0.052;
  }
}
/// Rows that dense products are padded to; tried on every curve.
const std::vector<int> kGemmTiles{1, 16, 64, 128};
constexpr double kFewTokens = 512;  ///< where skewed rows are judged apart: below, few experts are active

std::uint64_t hash_of(const TableKey& key, const std::vector<double>& at, double size) {
  std::string text = fmt::format("{} {} {}", name_of(key.operation), key.kernel, name_of(key.format));
  for (const int dimension : key.dimensions) text += fmt::format(" {}", dimension);
  for (const double place : at) text += fmt::format(" {:g}", place);
  text += fmt::format(" {:g}", size);
  std::uint64_t hash = 14695981039346656037ULL;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  return hash ^ (hash >> 29);
}

/// One table's points: what is fitted, what is held out between the ends of its curves, what is skewed.
struct Split {
  std::map<std::vector<double>, std::vector<CurvePoint>> fitted;
  std::vector<const MeasuredPoint*> held_out, skewed;
};

Split split(const TableKey& key, const std::vector<MeasuredPoint>& points) {
  std::map<std::vector<double>, std::pair<double, double>> ends;
  for (const MeasuredPoint& point : points) {
    if (point.skew > 0) continue;
    auto& [least, most] = ends.try_emplace(point.at, point.size, point.size).first->second;
    least = std::min(least, point.size);
    most = std::max(most, point.size);
  }
  Split made;
  for (const MeasuredPoint& point : points) {
    if (point.skew > 0) {
      made.skewed.push_back(&point);
      continue;
    }
    const auto& [least, most] = ends.at(point.at);
    if (point.size > least && point.size < most && hash_of(key, point.at, point.size) % 5 == 0) {
      made.held_out.push_back(&point);
    } else {
      made.fitted[point.at].push_back({point.size, point.microseconds});
    }
  }
  return made;
}

KernelTable fitted_table(const TableKey& key, const Split& points) {
  KernelTable table{key.operation, key.kernel, key.format, key.dimensions, {}};
  for (const auto& [at, measured] : points.fitted) {
    const bool tiled = key.operation == KernelOperation::gemm;
    table.curves.push_back(
        fit_curve(at, measured, knot_tolerance(key.operation), tiled ? kGemmTiles : std::vector<int>{1}));
    for (double& microseconds : table.curves.back().microseconds) microseconds = three_digits(microseconds);
  }
  return table;
}

using Verdicts = std::map<std::pair<KernelOperation, std::string>, JudgedRatios>;

/// Collects what the tables of an engine say about rows that they never saw.
class Judge {
public:
  explicit Judge(const Gpu& gpu) : gpu_{gpu} {}

  void table(const TableKey& key, const Split& points, const KernelTable& fitted) {
    if (is_experts(key.operation)) {
      balanced(fitted, points);
      unseen_slots(fitted, points);
      skewed(fitted, points);
    } else {
      inside(fitted, points);
      between(key, fitted, points);
    }
  }

  std::vector<ModelError> errors() const {
    std::vector<ModelError> made;
    for (const auto& [of, judged] : verdicts_) made.push_back(judged.error(of.first, of.second));
    return made;
  }

private:
  void add(KernelOperation operation, const std::string& regime, const char* baseline, double predicted, double other,
           double measured) {
    JudgedRatios& judged = verdicts_[{operation, regime}];
    judged.baseline = baseline;
    judged.predicted.push_back(predicted / measured);
    judged.other.push_back(other / measured);
  }

  void inside(const KernelTable& fitted, const Split& points) {
    const CurveGrid grid{fitted, gpu_};
    for (const MeasuredPoint* point : points.held_out)
      add(fitted.operation, "inside", "roofline", grid.time(point->at, point->size).microseconds,
          grid.ceiling().microseconds(point->at, point->size), point->microseconds);
  }

  /// A tenth of the curves taken out, whole, but none at an end of an axis.
  void between(const TableKey& key, const KernelTable& fitted, const Split& points) {
    std::vector<std::set<double>> places(fitted.curves.front().at.size());
    for (const Curve& curve : fitted.curves)
      for (std::size_t axis = 0; axis < places.size(); ++axis) places[axis].insert(curve.at[axis]);
    const auto taken_out = [&](const std::vector<double>& at) {
      for (std::size_t axis = 0; axis < at.size(); ++axis)
        if (at[axis] == *places[axis].begin() || at[axis] == *places[axis].rbegin()) return false;
      return hash_of(key, at, 0) % 10 == 0;
    };
    KernelTable rest = fitted;
    std::erase_if(rest.curves, [&](const Curve& curve) { return taken_out(curve.at); });
    const CurveGrid grid{rest, gpu_};
    for (const auto& [at, measured] : points.fitted) {
      if (!taken_out(at)) continue;
      for (const CurvePoint& point : measured)
        add(fitted.operation, "between", "roofline", grid.time(at, point.size).microseconds,
            grid.ceiling().microseconds(at, point.size), point.microseconds);
    }
  }

  static double all_with(const ExpertCurves& curves, const std::vector<std::int32_t>& rows) {
    return curves(rows).value() * 1e6;
  }

  static CollectorRouting routing_of(const KernelTable& table, const MeasuredPoint& point) {
    return {point.tokens, table.dimensions[2], table.dimensions[3], point.ranks};
  }

  /// As many rows as that, within one of each other: what balanced routing gives a rank.
  static std::vector<std::int32_t> even_rows(double size, int slots) {
    const auto rows = static_cast<std::int64_t>(size);
    std::vector<std::int32_t> even(static_cast<std::size_t>(slots), static_cast<std::int32_t>(rows / slots));
    for (std::int64_t i = 0; i < rows % slots; ++i) ++even[static_cast<std::size_t>(i)];
    return even;
  }

  void balanced(const KernelTable& fitted, const Split& points) {
    std::map<int, ExpertCurves> curves;
    for (const MeasuredPoint* point : points.held_out) {
      const int slots = static_cast<int>(point->at[0]);
      const ExpertCurves& of = curves.try_emplace(slots, fitted, gpu_, slots).first->second;
      add(fitted.operation, "balanced", "roofline", all_with(of, even_rows(point->size, slots)),
          KernelCeiling{gpu_, fitted}.microseconds(point->at, point->size), point->microseconds);
    }
  }

  /// Every count of slots between the least and the most, from the others.
  void unseen_slots(const KernelTable& fitted, const Split& points) {
    for (const Curve& curve : fitted.curves) {
      if (curve.at == fitted.curves.front().at || curve.at == fitted.curves.back().at) continue;
      KernelTable rest = fitted;
      std::erase_if(rest.curves, [&](const Curve& other) { return other.at == curve.at; });
      const int slots = static_cast<int>(curve.at[0]);
      const ExpertCurves of{rest, gpu_, slots};
      for (const CurvePoint& point : points.fitted.at(curve.at)) {
        add(fitted.operation, "unseen slots", "roofline", all_with(of, even_rows(point.size, slots)),
            KernelCeiling{gpu_, fitted}.microseconds(curve.at, point.size), point.microseconds);
      }
    }
  }

  void skewed(const KernelTable& fitted, const Split& points) {
    std::map<int, ExpertCurves> curves;
    for (const MeasuredPoint* point : points.skewed) {
      const int slots = static_cast<int>(point->at[0]);
      if (points.fitted.find(point->at) == points.fitted.end()) continue;
      const ExpertCurves& of = curves.try_emplace(slots, fitted, gpu_, slots).first->second;
      const CollectorRouting routing = routing_of(fitted, *point);
      const auto rows = power_law_rows(routing, point->skew, static_cast<std::uint32_t>(routing.tokens));
      add(fitted.operation, point->tokens <= kFewTokens ? "skewed, to 512 tokens" : "skewed, above 512 tokens",
          "mean rows", all_with(of, rows), all_with(of, balanced_rows(routing)), point->microseconds);
    }
  }

  const Gpu& gpu_;
  Verdicts verdicts_;
};

}  // namespace

void PointStore::add(const TableKey& key, const MeasuredPoint& point, std::string identity, const std::string& place) {
  const auto [known, is_new] = known_.try_emplace(std::move(identity), point.microseconds);
  const double apart = known->second / point.microseconds;
  if (!is_new && (apart > 2 || apart < 0.5))
    throw InputError{place,
                     fmt::format("{:g} us, but the same point is {:g} us above", point.microseconds, known->second),
                     "times of one point that agree to a factor of two"};
  points_[key].push_back(point);
}

void fit_engine(const MeasuredPoints& points, const Gpu& gpu, EngineModel& engine) {
  Judge judge{gpu};
  for (const auto& [key, measured] : points) {
    const Split parts = split(key, measured);
    if (parts.fitted.empty()) continue;
    engine.tables.push_back(fitted_table(key, parts));
    judge.table(key, parts, engine.tables.back());
  }
  engine.errors = judge.errors();
}

}  // namespace moesim
