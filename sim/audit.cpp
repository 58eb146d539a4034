#include "sim/audit.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>
#include <set>
#include <utility>

#include <boost/math/distributions/students_t.hpp>

#include "models/units/random.hpp"
#include "sim/engine/flow_replay.hpp"
#include "sim/serving/expert_fetch.hpp"
#include "sim/serving/expert_traffic.hpp"
#include "sim/serving/rank_times.hpp"

namespace moesim {
namespace {

/// The second draw shares no random number with the run.
constexpr std::uint64_t kIndependent = 0xA5A5'5A5A'0F0F'F0F0u;
/// Completions of flows closer than a thousandth of the collective are merged (replay_flows takes the lesser).
constexpr Seconds kQuantum{1e-6};

bool has_dispatch(const Deployment& plan) {
  return plan.layout.kind == LayoutKind::data_expert_a2a;
}

/// One replay as flows, CPU time of the audited command less that of the unaudited: 0.084 s at 32 ranks, 0.6 s at 64,
/// 1.4 s at 72, 4.1 s at 96 and 19 s at 144 (20,592 flows that end at different moments, each a new solution of the
/// sharing); building its processes takes 5 ms.
double replay_seconds(int ranks) {
  return 0.005 + 20 * std::pow(ranks / 144.0, 3.7);
}

/// GPUs between which a dispatch goes.
int gpus_of_dispatch(const Deployment& plan) {
  return plan.layout.ranks + (plan.layout.spec.experts_apart ? plan.layout.expert_ranks() : 0);
}

/// Pairs of a step, or a microbatch of one where steps are cut, and a MoE layer.
std::vector<std::pair<int, int>> sample(const Scenario& scenario, const Deployment& plan, int layers) {
  const auto steps = static_cast<std::uint32_t>(scenario.workload.steps * plan.layout.spec.microbatches);
  const auto moe_layers = static_cast<std::uint32_t>(scenario.model.moe_layers());
  const auto all = static_cast<std::uint64_t>(steps) * moe_layers;
  Random random{scenario.seed, Purpose::audit, 0, 0};
  std::set<std::pair<int, int>> chosen;
  while (chosen.size() < std::min<std::uint64_t>(static_cast<std::uint64_t>(layers), all))
    chosen.emplace(static_cast<int>(random.below(steps)), static_cast<int>(random.below(moe_layers)));
  return {chosen.begin(), chosen.end()};
}

/// The pipeline stage of a MoE layer.
int pipeline_stage_of(const Scenario& scenario, const Deployment& plan, int moe_layer) {
  int layer = 0;
  for (int before = moe_layer; before > 0 || !scenario.model.moe_layer[static_cast<std::size_t>(layer)]; ++layer)
    if (scenario.model.moe_layer[static_cast<std::size_t>(layer)]) --before;
  int stage = 0;
  while (plan.layout.first_layer(stage + 1) <= layer) ++stage;
  return stage;
}

std::optional<SampleError> error_of(const std::vector<double>& errors) {
  if (errors.empty()) return std::nullopt;
  const auto n = static_cast<double>(errors.size());
  SampleError error;
  double squares = 0;
  for (const double e : errors) {
    error.mean += e / n;
    if (std::abs(e) > std::abs(error.worst)) error.worst = e;
  }
  for (const double e : errors) squares += (e - error.mean) * (e - error.mean);
  if (errors.size() > 1)
    error.ci95 = boost::math::quantile(boost::math::students_t{n - 1}, 0.975) * std::sqrt(squares / (n - 1) / n);
  return error;
}

struct Errors {
  std::vector<double> sampling, sharing, staggered, bracket;
};

/// Of the MoE layers of one pipeline stage, or of the pools.
class Auditor {
public:
  Auditor(const Scenario& scenario, const Deployment& plan, int stage, Errors& errors)
      : scenario_{scenario},
        plan_{plan},
        topology_{plan.layout.spec.experts_apart ? plan.topology : plan.stages[static_cast<std::size_t>(stage)]},
        errors_{errors},
        run_{scenario, plan, stage},
        again_{scenario, plan, stage, Sampler::token, scenario.seed ^ kIndependent},
        experts_{scenario, plan, stage * plan.layout.ranks + plan.layout.first_expert_gpu()},
        dispatch_{topology_, plan.dispatch},
        combine_{topology_, plan.combine},
        seconds_(static_cast<std::size_t>(plan.layout.expert_ranks())) {
    if (plan.resident.empty()) return;
    fetch_.emplace(scenario, plan);
    fetch_seconds_.resize(seconds_.size());
  }

  void look_at(int step, int moe_layer) {
    const StepBatch batch = batch_of_step(scenario_, plan_.layout, step);
    run_.draw(step, moe_layer, batch, loads_);
    const Seconds in_run = expert_part(moe_layer, loads_);
    std::optional<DispatchTraffic> tokens;
    if (has_dispatch(plan_))
      tokens = again_.draw_tokens(step, moe_layer, batch, loads_);
    else
      again_.draw(step, moe_layer, batch, loads_);
    const Seconds again = expert_part(moe_layer, loads_);
    if (scenario_.routing.kind != RoutingKind::trace && in_run.value() > 0)
      errors_.sampling.push_back(again / in_run - 1);
    if (tokens) replay(*tokens);
  }

private:
  /// Dispatch, the slowest rank's experts, combine. Leaves the seconds of the experts, fetched first where they are
  /// offloaded, in seconds_.
  Seconds expert_part(int moe_layer, const LayerTraffic& loads) {
    if (fetch_) (*fetch_)(moe_layer, loads.rows_per_slot, fetch_seconds_);
    experts_(moe_layer, loads.rows_per_slot, seconds_);
    for (std::size_t r = 0; r < fetch_seconds_.size(); ++r) seconds_[r] += fetch_seconds_[r];
    Seconds time{*std::max_element(seconds_.begin(), seconds_.end())};
    if (has_dispatch(plan_)) time += dispatch_(loads.dispatch_bytes).time + combine_(loads.combine_bytes).time;
    return time;
  }

  void replay(const DispatchTraffic& out) {
    const DispatchTraffic back = reversed(out, plan_.combine_payload / plan_.dispatch_payload);
    compare(flows_of(out, topology_), dispatch_(loads_.dispatch_bytes), plan_.dispatch);
    const auto flows = flows_of(back, topology_);
    const CollectiveTime fluid = combine_(loads_.combine_bytes);
    compare(flows, fluid, plan_.combine);
    if (!plan_.combine.staged) stagger(flows, fluid.time - fluid.latency);
  }

  void compare(const std::vector<Flow>& flows, const CollectiveTime& fluid, const CollectiveParameters& parameters) {
    const Seconds transfer = fluid.time - fluid.latency;
    if (transfer.value() <= 0) return;
    Seconds flown;
    if (parameters.staged)
      for (const bool inside : {true, false})
        flown += replay_flows(topology_, stage_of(flows, inside), kQuantum, parameters).makespan;
    else
      flown = replay_flows(topology_, flows, kQuantum, parameters).makespan;
    errors_.sharing.push_back(flown / transfer - 1);
  }

  /// The part of each flow inside nodes, or between them.
  std::vector<Flow> stage_of(const std::vector<Flow>& flows, bool inside) const {
    std::vector<Flow> stage;
    for (const Flow& whole : flows) {
      Flow part{whole.src, whole.dst, whole.bytes, {}};
      std::copy_if(whole.links.begin(), whole.links.end(), std::back_inserter(part.links), [&](LinkId link) {
        const Tier tier = topology_.links()[static_cast<std::size_t>(link)].tier;
        return (tier == Tier::nvlink || tier == Tier::pcie) == inside;
      });
      if (!part.links.empty()) stage.push_back(std::move(part));
    }
    return stage;
  }

  /// The combine of ranks that are ready one after another: bracketed, and escalated to flows where the bracket leaves
  /// the run's common start open.
  void stagger(const std::vector<Flow>& flows, Seconds transfer) {
    const double last = *std::max_element(seconds_.begin(), seconds_.end());
    const double first = *std::min_element(seconds_.begin(), seconds_.end());
    if (transfer.value() <= 0 || first == last) return;
    std::vector<Seconds> start(static_cast<std::size_t>(topology_.gpus()));
    const auto first_gpu = static_cast<std::size_t>(plan_.layout.first_expert_gpu());
    for (std::size_t r = 0; r < seconds_.size(); ++r) start[first_gpu + r] = Seconds{seconds_[r]};
    const CollectiveParameters& parameters = plan_.combine;
    const Seconds upper = Seconds{last} + transfer;
    const Seconds lower = busy_period_bound(flows, start, achieved_bandwidths(topology_, parameters));
    errors_.bracket.push_back(1 - lower / upper);
    if (errors_.bracket.back() <= kStartTolerance) return;  // flows would end within the bracket
    const Seconds flown = replay_flows(topology_, flows, kQuantum, parameters, start).makespan;
    errors_.staggered.push_back(flown / upper - 1);
  }

  const Scenario& scenario_;
  const Deployment& plan_;
  const Topology& topology_;
  Errors& errors_;
  ExpertTraffic run_, again_;
  ExpertPhase experts_;
  FluidTimer dispatch_, combine_;
  LayerTraffic loads_;
  std::optional<ExpertFetch> fetch_;
  std::vector<double> seconds_, fetch_seconds_;
};

Audit result_of(const Errors& errors, int sampled) {
  Audit audit{sampled,
              error_of(errors.sampling),
              error_of(errors.sharing),
              static_cast<int>(errors.staggered.size()),
              error_of(errors.staggered),
              std::nullopt};
  if (const auto bracket = error_of(errors.bracket)) audit.bracket = bracket->mean;
  return audit;
}

}  // namespace

int default_audit(const Scenario& scenario, const Deployment& plan) {
  if (!scenario.model.moe) return 0;
  constexpr double kPerRankAndLayer = 0.15e-6, kPerToken = 1e-6;  // seconds of this program, as its benchmarks say
  constexpr double kQuick = 0.05;
  constexpr int kMost = 8;
  const double run = kPerRankAndLayer * scenario.workload.steps * scenario.model.layers * plan.layout.ranks;
  const double tokens = scenario.workload.tokens_per_gpu * plan.layout.ranks * scenario.model.moe->top_k;
  const double one = kPerToken * tokens + (has_dispatch(plan) ? 3 * replay_seconds(gpus_of_dispatch(plan)) : 0);
  return std::clamp(static_cast<int>(run / 10 / one), one <= kQuick ? 1 : 0, kMost);
}

std::optional<Audit> audit(const Scenario& scenario, const Deployment& plan, int layers) {
  if (!scenario.model.moe || layers <= 0) return std::nullopt;
  Errors errors;
  std::map<int, Auditor> of_stage;
  const auto chosen = sample(scenario, plan, layers);
  for (const auto& [step, moe_layer] : chosen) {
    const int stage = pipeline_stage_of(scenario, plan, moe_layer);
    of_stage.try_emplace(stage, scenario, plan, stage, errors).first->second.look_at(step, moe_layer);
  }
  return result_of(errors, static_cast<int>(chosen.size()));
}

}  // namespace moesim
