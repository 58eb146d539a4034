#include "models/kernels/published/measured_times.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <deque>
#include <limits>
#include <map>
#include <numeric>
#include <optional>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "models/kernels/published/curve_grid.hpp"
#include "models/kernels/published/expert_curves.hpp"
#include "models/kernels/published/judged_ratios.hpp"
#include "models/kernels/published/op_place.hpp"
#include "models/units/error.hpp"

namespace moesim {
namespace {

/// Of what only streams bytes: kernels.md's formula across shapes misses by 13 to 16 % in the median.
constexpr double kStreamingSigma = 0.25;
/// Of what the roofline stands in for: 57 to 71 % median for the naive one, about half with tiles.
constexpr double kFallbackSigma = 0.4;
/// Of another engine's kernel for the same work: cores of three engines on B200 lie within 15 % of their ceiling.
constexpr double kStandInSigma = 0.15;
/// Of experts in a table of a model with as wide ones, but another number of them or another top-k: vLLM's mxfp4 tables
/// of 32 experts tell those of 128 by 33 % too low.
constexpr double kOtherExpertsSigma = 0.3;
/// Of tables that take twice as long as is usual, or longer: a factor of two [assumed].
constexpr double kDoubtfulSigma = 0.7;
/// A table that rests on fewer measured times says little but of those.
constexpr int kFewPoints = 5;
/// Beyond the tables, over the error between their curves [assumed].
constexpr double kOutsideFactor = 2;

/// The fastest of the kernels that an engine has for one shape.
class FastestExperts final : public ExpertTimes {
public:
  explicit FastestExperts(std::vector<ExpertCurves> kernels) : kernels_{std::move(kernels)} {}

  Seconds operator()(std::span<const std::int32_t> rows_per_slot, std::optional<double> tokens = {}) const override {
    Seconds least{std::numeric_limits<double>::infinity()};
    for (const ExpertCurves& kernel : kernels_) least = std::min(least, kernel(rows_per_slot, tokens));
    return least;
  }

private:
  std::vector<ExpertCurves> kernels_;
};

class MeasuredTimes final : public KernelTimes {
public:
  MeasuredTimes(const KernelModel& model, const Gpu& gpu, const MeasuredTimesOptions& options)
      : engine_{with_stand_ins(model, find_engine(model, options.engine, "kernels.engine"))},
        name_{fmt::format("{}, {}", model.name, engine_.name)},
        source_{model.gpu == gpu.name ? model.origin.kind : KernelSource::transferred},
        fallback_allowed_{options.roofline_fallback},
        gpu_{gpu},
        roofline_{make_roofline(gpu)} {
    if (model.gpu != gpu.name) carry_over(model);
    for (const KernelTable& table : engine_.tables)
      if (!is_experts(table.operation)) grids_[static_cast<std::size_t>(table.operation)].emplace_back(table, gpu_);
    whole_block_ = std::any_of(engine_.tables.begin(), engine_.tables.end(),
                               [](const KernelTable& table) { return table.operation == KernelOperation::experts; });
  }

  KernelSource source() const override { return source_; }

  Seconds time(const Op& op) const override {
    if (op.flops <= Flops{0} && op.bytes <= Bytes{0}) return Seconds{0};
    if (in_expert_block(op)) return Seconds{0};
    const auto found = looked_up(op);
    return found ? found->time : roofline_->time(op);
  }

  KernelEvidence evidence(const Op& op) const override {
    if (in_expert_block(op)) return {source_, "in the expert block", 0, "inside"};
    if (std::holds_alternative<Streaming>(op.shape)) return {KernelSource::roofline, "", kStreamingSigma, "streaming"};
    const auto found = looked_up(op);
    if (!found) return {KernelSource::roofline, "", kFallbackSigma, "fallback"};
    return {source_, found->table->kernel, sigma(found->operation, found->regime), found->regime, found->table->lender};
  }

  std::unique_ptr<ExpertTimes> experts(const ExpertShape& shape) const override {
    std::vector<ExpertCurves> kernels;
    for (const KernelTable* table : expert_tables(shape)) kernels.emplace_back(*table, gpu_, slots_of(shape));
    if (kernels.empty()) return roofline_->experts(shape);
    return std::make_unique<FastestExperts>(std::move(kernels));
  }

  KernelEvidence evidence(const ExpertShape& shape, std::span<const std::int32_t> rows) const override {
    const auto tables = expert_tables(shape);
    if (tables.empty()) return {KernelSource::roofline, "", kFallbackSigma, "fallback"};
    std::vector<ExpertCurves> kernels;
    for (const KernelTable* table : tables) kernels.emplace_back(*table, gpu_, slots_of(shape));
    const auto curves = std::min_element(kernels.begin(), kernels.end(),
                                         [&](const auto& a, const auto& b) { return a(rows) < b(rows); });
    const KernelTable& fastest = *tables[static_cast<std::size_t>(curves - kernels.begin())];
    const std::string regime = expert_regime(fastest, *curves, rows);
    double variance = square(sigma(fastest.operation, regime));
    if (!curves->measured()) variance += square(sigma(fastest.operation, "unseen slots"));
    const bool of_another_model = fastest.dimensions[2] > 0 && !is_of_model(fastest, shape);
    if (of_another_model) variance += square(kOtherExpertsSigma);
    return {source_, fastest.kernel, std::sqrt(variance), of_another_model ? "other experts" : regime, fastest.lender};
  }

private:
  struct Found {
    Seconds time;
    KernelOperation operation;
    const KernelTable* table;
    std::string regime;
  };

  static double square(double value) { return value * value; }

  void carry_over(const KernelModel& model) {
    transfer_ = transfer_error(model.gpu, gpu_.name);
    const Gpu from = find_gpu(model.gpu, "profile " + model.name);
    KernelModel own{model.name, model.gpu, model.device, model.origin, {engine_}};
    engine_ = transferred(std::move(own), from, gpu_).engines.front();
  }

  bool in_expert_block(const Op& op) const {
    return whole_block_ && std::holds_alternative<Streaming>(op.shape) &&
           (op.kind == OpClass::router || op.kind == OpClass::dispatch_local);
  }

  /// Nothing for what the roofline times; throws for what only an allowed fallback may.
  std::optional<Found> looked_up(const Op& op) const {
    if (const auto* gemm = std::get_if<Gemm>(&op.shape)) return fastest(op, with_tables(place_of(op, *gemm)));
    if (const auto* core = std::get_if<AttentionCore>(&op.shape)) return fastest(op, place_of(op, *core));
    return std::nullopt;
  }

  /// MLA's products in a format without tables: those of fp8 or bf16, which engines run them in; without any, a GEMM.
  OpPlace with_tables(OpPlace place) const {
    if (place.operation == KernelOperation::gemm) return place;
    for (const NumberFormat format : {place.format, NumberFormat::fp8, NumberFormat::bf16})
      for (const CurveGrid& grid : grids_[static_cast<std::size_t>(place.operation)])
        if (grid.table().format == format && (format != NumberFormat::fp8 || place.format != NumberFormat::bf16)) {
          place.format = format;
          return place;
        }
    const double width = place.operation == KernelOperation::mla_in ? 512 : 128;
    place.at = {place.at[0] * width, 640 - width};
    place.operation = KernelOperation::gemm;
    place.axes = 2;
    return place;
  }

  std::optional<Found> fastest(const Op& op, const OpPlace& place) const {
    std::optional<Found> best;
    for (const CurveGrid& grid : grids_[static_cast<std::size_t>(place.operation)]) {
      const KernelTable& table = grid.table();
      if (table.format != place.format || (place.head_dim && table.dimensions.front() != *place.head_dim)) continue;
      const TableTime found = grid.time(place.axis_places(), place.size);
      const double floor = std::min(grid.ceiling().floor(), found.microseconds);
      const Seconds time{(floor + (found.microseconds - floor) * place.share_of_pairs) * 1e-6};
      if (best && best->time <= time) continue;
      const bool other_pairs = std::abs(place.share_of_pairs - 1) > 1e-6;
      const bool few = table.points > 0 && table.points < kFewPoints && found.nearness != Nearness::inside;
      const char* regime = table.doubtful                                       ? "doubtful"
                           : found.nearness == Nearness::outside || few         ? "outside"
                           : found.nearness == Nearness::between || other_pairs ? "between"
                                                                                : "inside";
      best = Found{time, place.operation, &table, regime};
    }
    if (!best && !fallback_allowed_) refuse(op, place);
    return best;
  }

  [[noreturn]] void refuse(const Op& op, const OpPlace& place) const {
    std::set<std::string> there;
    for (const CurveGrid& grid : grids_[static_cast<std::size_t>(place.operation)]) {
      std::string what{name_of(grid.table().format)};
      if (place.head_dim) what += fmt::format(" with heads of {}", grid.table().dimensions.front());
      there.insert(what);
    }
    std::string wanted = fmt::format("'{}', {} in {}", op.name, name_of(place.operation), name_of(place.format));
    if (place.head_dim) wanted += fmt::format(" with heads of {}", *place.head_dim);
    throw InputError{
        fmt::format("kernels.profile ({})", name_), wanted,
        fmt::format("{}, or kernels.fallback: roofline", there.empty() ? "another engine, this one has no such table"
                                                                       : fmt::format("{}", fmt::join(there, ", ")))};
  }

  static bool is_of_model(const KernelTable& table, const ExpertShape& shape) {
    return table.dimensions[2] == shape.experts && table.dimensions[3] == shape.top_k;
  }

  static int slots_of(const ExpertShape& shape) { return std::max(1, shape.slots); }

  /// Tables of the shape; of those the ones for the same number of experts and top-k where there are any.
  std::vector<const KernelTable*> expert_tables(const ExpertShape& shape) const {
    if (shape.hidden <= 0 || shape.expert_hidden <= 0) roofline_->experts(shape);  // throws
    std::vector<const KernelTable*> same, similar;
    for (const KernelTable& table : engine_.tables) {
      if (!is_experts(table.operation) || table.format != timed_as(shape.format) ||
          table.dimensions[0] != shape.hidden || table.dimensions[1] != shape.table_width())
        continue;
      (is_of_model(table, shape) ? same : similar).push_back(&table);
    }
    if (same.empty()) same = similar;
    if (same.empty() && !fallback_allowed_) refuse(shape);
    return same;
  }

  /// Of formats that could be taken instead: less memory apart first.
  static double format_distance(NumberFormat a, NumberFormat b) {
    return a == b ? 0 : 0.25 + std::abs(std::log2(bits_per_element(a) / bits_per_element(b)));
  }

  [[noreturn]] void refuse(const ExpertShape& shape) const {
    const KernelTable* nearest = nullptr;
    double least = std::numeric_limits<double>::infinity();
    for (const KernelTable& table : engine_.tables) {
      if (!is_experts(table.operation)) continue;
      const double distance = std::abs(std::log(static_cast<double>(table.dimensions[0]) / shape.hidden)) +
                              std::abs(std::log(static_cast<double>(table.dimensions[1]) / shape.table_width())) +
                              format_distance(table.format, timed_as(shape.format));
      if (distance >= least) continue;
      least = distance;
      nearest = &table;
    }
    const std::string there = nearest ? fmt::format("{} x {} in {} (the nearest)", nearest->dimensions[0],
                                                    nearest->dimensions[1], name_of(nearest->format))
                                      : "another engine, this one has no experts";
    throw InputError{fmt::format("kernels.profile ({})", name_),
                     fmt::format("experts of {} x {} in {}", shape.hidden, shape.table_width(), name_of(shape.format)),
                     there + ", or kernels.fallback: roofline"};
  }

  static std::string expert_regime(const KernelTable& table, const ExpertCurves& curves,
                                   std::span<const std::int32_t> rows) {
    const auto total = static_cast<double>(std::accumulate(rows.begin(), rows.end(), std::int64_t{0}));
    const auto most = static_cast<double>(*std::max_element(rows.begin(), rows.end()));
    const double slots = static_cast<double>(rows.size());
    if (most - total / slots <= 1) return most <= curves.last_rows() ? "balanced" : "outside";
    if (most > 4 * curves.last_rows()) return "outside";
    const double experts = std::max(table.dimensions[2], 1), top_k = std::max(table.dimensions[3], 1);
    return total / slots * experts / top_k <= 512 ? "skewed, to 512 tokens" : "skewed, above 512 tokens";
  }

  /// Of rows that no fit saw, in that regime; carried over to another GPU, what that misses by besides.
  double sigma(KernelOperation operation, const std::string& regime) const {
    const auto known = [&](const std::string& wanted) {
      const auto found = std::find_if(engine_.errors.begin(), engine_.errors.end(), [&](const ModelError& error) {
        return error.operation == operation && error.regime == wanted;
      });
      return found == engine_.errors.end() ? 0 : credible_sigma(*found);
    };
    if (regime == "doubtful") return std::hypot(kDoubtfulSigma, transfer_.sigma);
    const bool outside = regime == "outside";
    double own = outside ? std::max(known("between"), known("skewed, above 512 tokens")) : known(regime);
    if (own == 0)  // a regime that nobody judged: the worst of those that were
      for (const ModelError& error : engine_.errors)
        if (error.operation == operation) own = std::max(own, credible_sigma(error));
    if (own == 0) own = kFallbackSigma;
    if (outside) own *= kOutsideFactor;
    const double borrowed = engine_.stand_ins.contains(operation) ? kStandInSigma : 0;
    return std::sqrt(square(own) + square(borrowed) + square(transfer_.sigma));
  }

  EngineModel engine_;
  std::string name_;
  KernelSource source_;
  bool fallback_allowed_, whole_block_ = false;
  Gpu gpu_;
  std::unique_ptr<KernelTimes> roofline_;
  TransferError transfer_;
  std::array<std::deque<CurveGrid>, kKernelOperations> grids_;
};

}  // namespace

std::unique_ptr<KernelTimes> make_measured_times(const KernelModel& model, const Gpu& gpu,
                                                 const MeasuredTimesOptions& options) {
  return std::make_unique<MeasuredTimes>(model, gpu, options);
}

}  // namespace moesim
