#include "sim/serving/expert_traffic.hpp"

#include <algorithm>
#include <cmath>

#include "models/units/random.hpp"

namespace moesim {
namespace {

/// A token takes experts in turn: loads differ by one at most.
void balanced_loads(std::int64_t assignments, std::span<std::int32_t> loads) {
  const auto experts = static_cast<std::int64_t>(loads.size());
  for (std::int64_t e = 0; e < experts; ++e)
    loads[static_cast<std::size_t>(e)] =
        static_cast<std::int32_t>(assignments / experts + (e < assignments % experts ? 1 : 0));
}

/// CopyLaw::spread: chances that a token sends to each place.
double spread_of(std::span<const double> chances) {
  double sum = 0, squares = 0;
  for (const double chance : chances) {
    sum += chance;
    squares += chance * chance;
  }
  return sum > 0 ? std::max(0.0, 1 - squares / sum) : 0;
}

/// Chance of at least one copy when the load is `load` times what it was at chance `mean_chance`: as if the copies of a
/// token came independently, which is exact at the mean load and has its slope there.
double scaled_chance(double mean_chance, double load, double mean_load) {
  if (mean_load <= 0) return 0;
  if (mean_chance >= 1) return std::min(1.0, load / mean_load);
  return 1 - std::pow(1 - mean_chance, load / mean_load);
}

}  // namespace

ExpertTraffic::ExpertTraffic(const Scenario& scenario, const Deployment& plan, int stage)
    : ExpertTraffic{scenario, plan, stage, plan.sampler, scenario.seed} {}

ExpertTraffic::ExpertTraffic(const Scenario& scenario, const Deployment& plan, int stage, Sampler sampler,
                             std::uint64_t seed)
    : scenario_{scenario},
      plan_{plan},
      topology_{plan.layout.spec.experts_apart ? plan.topology : plan.stages[static_cast<std::size_t>(stage)]},
      sampler_{sampler},
      seed_{seed},
      dispatches_{plan.layout.kind == LayoutKind::data_expert_a2a} {
  if (sampler == Sampler::token)
    routes_.emplace(scenario, plan, seed);
  else
    prepare_aggregate();
}

void ExpertTraffic::prepare_aggregate() {
  const RouterSpec& router = scenario_.model.moe->router;
  const Placement& placement = plan_.placement;
  aggregate_.emplace(router, plan_.popularity, seed_);
  for (int l = 0; l < placement.layers; ++l) {
    std::vector<std::vector<int>> slots(static_cast<std::size_t>(placement.experts));
    for (int s = 0; s < placement.slots(); ++s)
      if (const int expert = placement.layer(l)[static_cast<std::size_t>(s)]; expert >= 0)
        slots[static_cast<std::size_t>(expert)].push_back(s);
    ReplicaMap& map = replicas_.emplace_back();
    for (int e = 0; e < placement.experts; ++e) {
      auto& own = slots[static_cast<std::size_t>(e)];
      if (own.size() == 1)
        map.single.emplace_back(e, own.front());
      else
        map.replicated.emplace_back(e, std::move(own));
    }
  }
  if (!dispatches_) return;

  const auto ranks = static_cast<std::size_t>(placement.ranks);
  const std::vector<double> share(static_cast<std::size_t>(plan_.layout.ranks), 1.0 / plan_.layout.ranks);
  expected_.emplace(topology_, share, plan_.copies, plan_.layout.spec.expert_tp,
                    plan_.layout.spec.experts_apart ? plan_.layout.expert_ranks() : 0);
  into_rank_.resize(ranks);
  back_rank_.resize(ranks);
  if (plan_.copies == CopyRule::per_node) {
    into_node_.resize(expert_node(placement.ranks - 1) + 1);
    back_node_.resize(into_node_.size());
  }
  prepare_copies();
}

/// What the copy rule makes of a layer's mean loads.
void ExpertTraffic::prepare_copies() {
  const Placement& placement = plan_.placement;
  const auto ranks = into_rank_.size();
  if (plan_.copies != CopyRule::per_expert)
    fixed_ = fixed_share(plan_.popularity.top_k, static_cast<int>(into_node_.empty() ? ranks : into_node_.size()));

  std::vector<int> rank_of(static_cast<std::size_t>(placement.slots())), node_of(rank_of.size());
  for (int s = 0; s < placement.slots(); ++s) {
    rank_of[static_cast<std::size_t>(s)] = s / placement.slots_per_rank;
    node_of[static_cast<std::size_t>(s)] = static_cast<int>(expert_node(s / placement.slots_per_rank));
  }
  for (int l = 0; l < placement.layers; ++l) {
    const auto inclusion = plan_.popularity.layer(l);
    const std::vector<int> replicas = placement.replicas(l);
    std::vector<double> slot_load(rank_of.size(), 0.0);
    for (std::size_t s = 0; s < slot_load.size(); ++s)
      if (const int expert = placement.layer(l)[s]; expert >= 0)
        slot_load[s] = inclusion[static_cast<std::size_t>(expert)] / replicas[static_cast<std::size_t>(expert)];
    if (plan_.copies == CopyRule::per_expert) {
      spread_.push_back(spread_of(slot_load));
      continue;
    }
    MeanCopies mean;
    const auto chance = [&](const std::vector<int>& set_of, std::size_t sets) {
      return distinct_copies(scenario_.model.moe->router, inclusion, plan_.popularity.top_k, placement.layer(l), set_of,
                             static_cast<int>(sets));
    };
    mean.rank_chance = chance(rank_of, ranks);
    if (!into_node_.empty()) mean.node_chance = chance(node_of, into_node_.size());
    mean.rank_load.assign(ranks, 0.0);
    mean.node_load.assign(into_node_.size(), 0.0);
    for (std::size_t s = 0; s < slot_load.size(); ++s) {
      mean.rank_load[static_cast<std::size_t>(rank_of[s])] += slot_load[s];
      if (!into_node_.empty()) mean.node_load[static_cast<std::size_t>(node_of[s])] += slot_load[s];
    }
    spread_.push_back(spread_of(into_node_.empty() ? mean.rank_chance : mean.node_chance));
    mean_copies_.push_back(std::move(mean));
  }
}

/// Of a placement rank without expert TP, counted from the first node with experts.
std::size_t ExpertTraffic::expert_node(int rank) const {
  const int first = plan_.layout.first_expert_gpu();
  return static_cast<std::size_t>(topology_.node_of(first + rank) - topology_.node_of(first));
}

void ExpertTraffic::clear(LayerTraffic& out) const {
  out.expert_loads.assign(static_cast<std::size_t>(plan_.placement.experts), 0);
  out.rows_per_slot.assign(static_cast<std::size_t>(plan_.placement.slots()), 0);
}

void ExpertTraffic::draw(int step, int moe_layer, const StepBatch& batch, LayerTraffic& out) {
  if (sampler_ != Sampler::token)
    draw_aggregate(step, moe_layer, batch, out);
  else if (plan_.placement.ranks == 1 && !dispatches_)
    draw_whole_experts(step, moe_layer, batch, out);
  else
    draw_tokens(step, moe_layer, batch, out);
}

void ExpertTraffic::choose_experts(int step, int moe_layer, const StepBatch& batch, LayerTraffic& out) {
  routes_->draw(step, moe_layer, batch);
  for (const int expert : routes_->chosen())
    if (expert >= 0) ++out.expert_loads[static_cast<std::size_t>(expert)];
  out.rows = routes_->rows();
  if (scenario_.routing.capacity.policy != CapacityPolicy::none) out.places = routes_->count();
}

/// Every rank holds (a slice of) every expert.
void ExpertTraffic::draw_whole_experts(int step, int moe_layer, const StepBatch& batch, LayerTraffic& out) {
  clear(out);
  choose_experts(step, moe_layer, batch, out);
  const auto expert_of = plan_.placement.layer(moe_layer);
  for (std::size_t s = 0; s < expert_of.size(); ++s)
    if (expert_of[s] >= 0) out.rows_per_slot[s] = out.expert_loads[static_cast<std::size_t>(expert_of[s])];
}

DispatchTraffic ExpertTraffic::draw_tokens(int step, int moe_layer, const StepBatch& batch, LayerTraffic& out) {
  clear(out);
  choose_experts(step, moe_layer, batch, out);
  DispatchTraffic dispatch =
      count_dispatch(routes_->chosen(), routes_->source_of(), routes_->width(), plan_.placement, moe_layer,
                     plan_.copies, scenario_.communication.replicas, plan_.dispatch_payload, topology_,
                     seed_ + static_cast<std::uint64_t>(step) * 0x9E3779B97F4A7C15u, plan_.layout.spec.expert_tp,
                     plan_.layout.first_expert_gpu());
  out.rows_per_slot = dispatch.rows_per_slot;
  if (!dispatches_) return dispatch;
  if (plan_.layout.spec.expert_tp > 1) count_arrivals(dispatch, out);
  const std::size_t links = topology_.links().size();
  out.dispatch_bytes = link_bytes(flows_of(dispatch, topology_), links);
  const DispatchTraffic combine = reversed(dispatch, plan_.combine_payload / plan_.dispatch_payload);
  out.combine_bytes = link_bytes(flows_of(combine, topology_), links);
  return dispatch;
}

/// What reached the GPUs of each placement rank; per_node, with its hop in between, has no expert TP.
void ExpertTraffic::count_arrivals(const DispatchTraffic& dispatch, LayerTraffic& out) const {
  out.copies_into.assign(static_cast<std::size_t>(plan_.placement.ranks), 0.0);
  for (int src = 0; src < dispatch.direct.ranks; ++src)
    for (int dst = plan_.layout.first_expert_gpu(); dst < dispatch.direct.ranks; ++dst)
      out.copies_into[static_cast<std::size_t>(plan_.layout.expert_rank_of(dst - plan_.layout.first_expert_gpu()))] +=
          dispatch.direct.at(src, dst) / plan_.dispatch_payload.value();
}

void ExpertTraffic::draw_loads(int step, int moe_layer, std::int64_t tokens, LayerTraffic& out) const {
  if (scenario_.routing.kind == RoutingKind::balanced)
    balanced_loads(tokens * plan_.popularity.top_k, out.expert_loads);
  else
    aggregate_->draw(static_cast<std::uint32_t>(step), moe_layer, tokens, out.expert_loads);
}

void ExpertTraffic::split_over_replicas(int step, int moe_layer, LayerTraffic& out) const {
  const ReplicaMap& map = replicas_[static_cast<std::size_t>(moe_layer)];
  for (const auto& [expert, slot] : map.single)
    out.rows_per_slot[static_cast<std::size_t>(slot)] = out.expert_loads[static_cast<std::size_t>(expert)];
  Random random{seed_, Purpose::replica, static_cast<std::uint32_t>(step), static_cast<std::uint32_t>(moe_layer)};
  for (const auto& [expert, slots] : map.replicated) {
    std::int32_t left = out.expert_loads[static_cast<std::size_t>(expert)];
    auto copies = static_cast<double>(slots.size());
    for (const int slot : slots) {
      // Each token picks a copy alone: binomial shares, by the normal law that fits loads of this size.
      std::int32_t rows = left;
      if (copies > 1) {
        const double sigma = std::sqrt(left / copies * (1 - 1 / copies));
        rows = std::clamp(static_cast<std::int32_t>(std::lround(left / copies + sigma * random.normal())), 0, left);
      }
      out.rows_per_slot[static_cast<std::size_t>(slot)] = rows;
      left -= rows;
      copies -= 1;
    }
  }
}

void ExpertTraffic::draw_aggregate(int step, int moe_layer, const StepBatch& batch, LayerTraffic& out) {
  clear(out);
  draw_loads(step, moe_layer, batch.tokens, out);
  out.rows = batch.tokens * plan_.popularity.top_k;
  split_over_replicas(step, moe_layer, out);
  if (!dispatches_) return;
  expect_bytes(moe_layer, batch.tokens, out);
  if (scenario_.routing.kind != RoutingKind::balanced) scatter_bytes(step, moe_layer, out);
}

/// Which source a copy comes from, the loads given. Balanced routing deals every source the same.
void ExpertTraffic::scatter_bytes(int step, int moe_layer, LayerTraffic& out) const {
  CopyLaw law{plan_.dispatch_payload, spread_[static_cast<std::size_t>(moe_layer)], fixed_};
  const auto at_step = static_cast<std::uint32_t>(step), layer = static_cast<std::uint32_t>(moe_layer);
  expected_->scatter_dispatch(law, Random{seed_, Purpose::token_routes, at_step, layer, 0}, out.dispatch_bytes);
  law.payload = plan_.combine_payload;
  expected_->scatter_combine(law, Random{seed_, Purpose::token_routes, at_step, layer, 1}, out.combine_bytes);
}

void ExpertTraffic::expect_bytes(int moe_layer, std::int64_t tokens, LayerTraffic& out) {
  const auto per_rank = static_cast<std::size_t>(plan_.placement.slots_per_rank);
  const auto all = static_cast<double>(tokens);
  std::fill(into_rank_.begin(), into_rank_.end(), 0.0);
  std::fill(into_node_.begin(), into_node_.end(), 0.0);
  for (std::size_t r = 0; r < static_cast<std::size_t>(plan_.placement.ranks); ++r) {
    double copies = 0;
    for (std::size_t s = r * per_rank; s < (r + 1) * per_rank; ++s) copies += out.rows_per_slot[s];
    if (!into_node_.empty()) into_node_[expert_node(static_cast<int>(r))] += copies;
    into_rank_[r] = copies;
  }
  if (plan_.copies != CopyRule::per_expert) {
    const MeanCopies& mean = mean_copies_[static_cast<std::size_t>(moe_layer)];
    for (std::size_t r = 0; r < into_rank_.size(); ++r)
      into_rank_[r] = all * scaled_chance(mean.rank_chance[r], into_rank_[r], all * mean.rank_load[r]);
    for (std::size_t n = 0; n < into_node_.size(); ++n)
      into_node_[n] = all * scaled_chance(mean.node_chance[n], into_node_[n], all * mean.node_load[n]);
  }
  if (plan_.layout.spec.expert_tp > 1) out.copies_into = into_rank_;
  const double combine = plan_.combine_payload.value();
  const double dispatch = plan_.dispatch_payload.value();
  for (std::size_t r = 0; r < into_rank_.size(); ++r) {
    back_rank_[r] = into_rank_[r] * combine;
    into_rank_[r] *= dispatch;
  }
  for (std::size_t n = 0; n < into_node_.size(); ++n) {
    back_node_[n] = into_node_[n] * combine;
    into_node_[n] *= dispatch;
  }
  const std::size_t links = topology_.links().size();
  out.dispatch_bytes.resize(links);
  out.combine_bytes.resize(links);
  expected_->dispatch(into_rank_, into_node_, out.dispatch_bytes);
  expected_->combine(back_rank_, back_node_, out.combine_bytes);
}

void tell_loads(const Lockstep& group, const LayerTraffic& traffic, int layer, int moe_layer, std::int64_t tokens) {
  group.tell(
      ExpertsLoaded{group.now(), layer, moe_layer, traffic.rows_per_slot, traffic.expert_loads, tokens, traffic.rows});
  if (const auto& count = traffic.places)
    group.tell(PlacesGiven{group.now(), layer, count->assignments, count->dropped, count->rerouted, count->places,
                           count->displaced_gate, count->dropped_gate});
}

}  // namespace moesim
