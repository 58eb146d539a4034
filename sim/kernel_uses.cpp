#include "sim/kernel_uses.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include <fmt/format.h>

#include "sim/serving/batch.hpp"
#include "sim/serving/deployment_plan.hpp"
#include "sim/serving/profile_place.hpp"
#include "sim/serving/rank_times.hpp"
#include "sim/serving/stage_collectives.hpp"

namespace moesim {
namespace {

/// Adds up the ops of a step by class and source.
class Uses {
public:
  explicit Uses(const KernelTimes& kernels) : kernels_{kernels} {}

  /// `cause` is what the engine charges these ops to; `times` how often they run in a step.
  void add(const std::vector<Op>& ops, double times, Cause cause) {
    for (const Op& op : ops) {
      const Seconds time = times * kernels_.time(op);
      if (time <= Seconds{0}) continue;
      add(name_of(op.kind), cause, kernels_.evidence(op), time);
    }
  }

  void add(std::string_view kind, Cause cause, const KernelEvidence& evidence, Seconds time) {
    const auto same = std::find_if(uses_.begin(), uses_.end(), [&](const KernelUse& use) {
      return use.op_class == kind && use.cause == cause && use.source == name_of(evidence.source) &&
             use.kernel == evidence.kernel && use.regime == evidence.regime && use.lender == evidence.lender;
    });
    if (same != uses_.end()) {
      same->time += time;
      return;
    }
    uses_.push_back({std::string{kind}, cause, std::string{name_of(evidence.source)}, evidence.kernel, evidence.regime,
                     evidence.sigma, time, evidence.lender});
  }

  std::vector<KernelUse> take() { return std::move(uses_); }

private:
  const KernelTimes& kernels_;
  std::vector<KernelUse> uses_;
};

void add_attention(const Scenario& scenario, const RankBatch& batch, int tp, Uses& uses) {
  const Architecture& model = scenario.model;
  const int narrow = model.windowed_layers();
  if (narrow > 0)
    uses.add(attention_ops(model, scenario.precision, batch, tp, Reach::windowed), narrow, Cause::attention);
  if (narrow < model.layers)
    uses.add(attention_ops(model, scenario.precision, batch, tp, Reach::full), model.layers - narrow, Cause::attention);
}

/// A number of rows with the mean `expected` that `part` of all draws stay below: tokens that choose on their own are
/// nearly a Poisson's; of many the mean says enough.
std::int32_t drawn_rows(double expected, double part) {
  constexpr double kMany = 50;
  if (expected > kMany) return static_cast<std::int32_t>(std::llround(expected));
  double chance = std::exp(-expected), below = chance;
  std::int32_t rows = 0;
  while (below < part && rows < 10 * kMany) {
    chance *= expected / ++rows;
    below += chance;
  }
  return rows;
}

/// Rows of every slot of the hottest rank, as the popularity spreads `tokens`. Slots take evenly spread parts of their
/// distributions, so that as many of them have rows as in a step.
std::vector<std::int32_t> rows_of_hottest_rank(const Deployment& plan, double tokens) {
  constexpr double kGolden = 0.6180339887498949;
  const Placement& placement = plan.placement;
  const std::vector<int> replicas = placement.replicas(0);
  std::vector<std::int32_t> hottest;
  double most = -1;
  for (int rank = 0; rank < placement.ranks; ++rank) {
    std::vector<std::int32_t> rows;
    double sum = 0;
    for (int s = 0; s < placement.slots_per_rank; ++s) {
      const int expert = placement.layer(0)[static_cast<std::size_t>(rank * placement.slots_per_rank + s)];
      const double expected = expert < 0 ? 0
                                         : tokens * plan.popularity.inclusion[static_cast<std::size_t>(expert)] /
                                               replicas[static_cast<std::size_t>(expert)];
      const double place = kGolden * (s + 0.5);
      rows.push_back(drawn_rows(expected, place - std::floor(place)));
      sum += expected;
    }
    if (sum <= most) continue;
    most = sum;
    hottest = std::move(rows);
  }
  if (std::all_of(hottest.begin(), hottest.end(), [](std::int32_t rows) { return rows == 0; }) && !hottest.empty())
    hottest.front() = 1;
  return hottest;
}

void add_experts(const Scenario& scenario, const Deployment& plan, double tokens, Uses& uses) {
  const std::vector<std::int32_t> rows = rows_of_hottest_rank(plan, tokens);
  const double own_rows = std::accumulate(rows.begin(), rows.end(), 0.0);
  const double entering = entering_tokens(plan.layout.kind, tokens, own_rows, scenario.model.moe->top_k);
  for (const NumberFormat format : plan.formats->used()) {
    const ExpertShape shape = expert_shape(scenario, plan, format);
    const Seconds time = scenario.model.moe_layers() * (*plan.kernels->experts(shape))(rows, entering);
    uses.add(name_of(OpClass::expert), Cause::experts, plan.kernels->evidence(shape, rows), time);
  }
}

struct StepCollective {
  StageCollective of;
  const MeasuredCollective* measured;  ///< nothing: the network model times it
};

/// Of all stages.
std::vector<StepCollective> step_collectives(const Scenario& scenario, const Deployment& plan, const StepBatch& step) {
  std::vector<StepCollective> made;
  for (int stage = 0; stage < plan.layout.spec.pp; ++stage)
    for (const StageCollective& of : stage_collectives(scenario, plan, stage, step)) {
      const Topology& topology = plan.stages[static_cast<std::size_t>(stage)];
      made.push_back({of, of.curves ? of.curves->find(of.operation, topology, of.group) : nullptr});
    }
  return made;
}

void add_collectives(const Scenario& scenario, const Deployment& plan, const StepBatch& step, Uses& uses) {
  for (const auto& [of, measured] : step_collectives(scenario, plan, step)) {
    if (!measured) continue;
    const KernelEvidence evidence{measured->source, measured->library, measured->sigma_at(of.message),
                                  measured->is_beyond(of.message) ? "outside" : "inside"};
    uses.add(name_of(of.operation), of.cause, evidence, of.times * measured->time(of.message));
  }
}

}  // namespace

std::vector<std::string> collectives_without_curve(const Scenario& scenario, const Deployment& plan) {
  std::vector<std::string> lines;
  if (!plan.curves) return lines;
  for (const auto& [of, measured] : step_collectives(scenario, plan, batch_of_step(scenario, plan.layout, 0))) {
    if (measured) continue;
    std::string line = fmt::format(
        "{} over {} GPUs: {}; the network model with the catalogue's parameters times it", name_of(of.operation),
        of.group.size(),
        of.curves
            ? "the profile has no curve of so many ranks, or they are not on one node with NVSwitch links at full speed"
            : fmt::format("communication.all_reduce {} is asked for, and no curve says which algorithm it took",
                          name_of(scenario.communication.all_reduce)));
    if (std::find(lines.begin(), lines.end(), line) == lines.end()) lines.push_back(std::move(line));  // of all stages
  }
  return lines;
}

namespace {

std::vector<KernelUse> uses_of_step(const Scenario& scenario, const Deployment& plan) {
  const Architecture& model = scenario.model;
  const Precision& precision = scenario.precision;
  const StepBatch step = batch_of_step(scenario, plan.layout, 0);
  const RankBatch& batch =
      *std::max_element(step.of_dp_rank.begin(), step.of_dp_rank.end(),
                        [](const RankBatch& a, const RankBatch& b) { return a.tokens() < b.tokens(); });
  const int tp = plan.layout.spec.attention_tp;
  const double tokens = batch.tokens(), own = plan.layout.spreads_tokens() ? tokens / tp : tokens;
  Uses uses{*plan.kernels};
  add_attention(scenario, batch, tp, uses);
  if (model.dense_layers() > 0)
    uses.add(dense_ffn_ops(model, precision, tokens, tp), model.dense_layers(), Cause::dense);
  if (model.moe) {
    uses.add(routing_ops(model, precision, own), model.moe_layers(), Cause::other);
    uses.add(shared_expert_ops(model, precision, own, plan.layout.shared_expert_tp()), model.moe_layers(),
             Cause::dense);
    add_experts(scenario, plan, static_cast<double>(step.tokens), uses);
  }
  if (step.finished_prompts.front() > 0)
    uses.add(head_ops(model, precision, step.finished_prompts.front(), tp), 1, Cause::other);
  add_collectives(scenario, plan, step, uses);
  return uses.take();
}

}  // namespace

std::vector<KernelUse> kernel_uses(const Scenario& scenario, const Deployment& plan) {
  return at_profile_key(scenario.kernels, [&] { return uses_of_step(scenario, plan); });
}

std::optional<Uncertainty> uncertainty_of(const std::vector<KernelUse>& uses, const Summary& summary) {
  std::array<Seconds, kCauses> of_cause{};
  for (const KernelUse& use : uses) of_cause[static_cast<std::size_t>(use.cause)] += use.time;
  std::map<std::string, double> deviation;  // of a class of ops, as a share of the step
  std::set<std::string> carried_classes;
  double carried_over = 0;  // of all that was: one ratio of two GPUs errs in all classes alike
  for (const KernelUse& use : uses) {
    if (use.sigma <= 0) return std::nullopt;
    const auto cause = static_cast<std::size_t>(use.cause);
    const double share = summary.critical_path[cause] * (use.time / of_cause[cause]) * use.sigma;
    deviation[use.op_class] += share;
    if (use.source == name_of(KernelSource::transferred)) {
      carried_over += share;
      carried_classes.insert(use.op_class);
    }
  }
  double variance = carried_over * carried_over;
  Uncertainty made;
  double most = 0;
  for (const auto& [kind, share] : deviation) {
    if (!carried_classes.contains(kind)) variance += share * share;
    if (share <= most) continue;
    most = share;
    made.most_from = kind;
  }
  made.sigma = std::sqrt(variance);
  constexpr double kTenthOfNormal = 1.2815515655446004;  // standard deviations to p10 and p90
  const double factor = std::exp(kTenthOfNormal * made.sigma);
  made.step_p10 = summary.step.mean / factor;
  made.step_p90 = summary.step.mean * factor;
  if (summary.output_tokens_per_s) {
    made.output_p10 = *summary.output_tokens_per_s / factor;
    made.output_p90 = *summary.output_tokens_per_s * factor;
  }
  return made;
}

}  // namespace moesim
