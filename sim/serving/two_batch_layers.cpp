#include "sim/serving/two_batch_layers.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "models/units/error.hpp"

namespace moesim {
namespace {

double compute_rate(const Scenario& scenario, const Deployment& plan) {
  const double sms = scenario.cluster.gpu.sms;
  const double left = plan.all_to_all == AllToAll::deepep_low_latency ? 1 : (sms - kCommunicationSms) / sms;
  return left * (1 - kCommunicationHbmShare);
}

/// The first or second half of what a data-parallel rank works on.
RankBatch half_of(const RankBatch& whole, bool second) {
  RankBatch half = whole;
  if (whole.sequences > 1 || whole.phase == Phase::decode) {
    const double first = std::ceil(whole.sequences / 2);
    half.sequences = second ? whole.sequences - first : first;
    return half;
  }
  const double first = std::ceil(whole.new_tokens / 2);
  half.new_tokens = second ? whole.new_tokens - first : first;
  if (second) half.context = whole.context + first;
  return half;
}

}  // namespace

std::array<StepBatch, 2> halves_of(const StepBatch& batch, const Layout& layout) {
  std::array<StepBatch, 2> halves;
  for (const bool second : {false, true}) {
    StepBatch& half = halves[second ? 1 : 0];
    half.finished_prompts.assign(batch.finished_prompts.size(), 0.0);  // the LM head runs for the whole step
    for (const RankBatch& whole : batch.of_dp_rank) {
      half.of_dp_rank.push_back(half_of(whole, second));
      const auto tokens = std::llround(half.of_dp_rank.back().tokens());
      half.tokens += tokens;
      for (int i = 0; i < layout.spec.attention_tp; ++i)
        half.tokens_of_rank.push_back(tokens / layout.spec.attention_tp +
                                      (i < tokens % layout.spec.attention_tp ? 1 : 0));
    }
  }
  return halves;
}

TwoBatchLayers::TwoBatchLayers(const Scenario& scenario, const Deployment& plan, ExpertTraffic& traffic,
                               const ExpertPhase& experts, Lockstep& group)
    : scenario_{scenario},
      plan_{plan},
      traffic_{traffic},
      experts_{experts},
      group_{group},
      dispatch_time_{plan.topology, plan.dispatch},
      combine_time_{plan.topology, plan.combine},
      timeline_{plan.layout.ranks, compute_rate(scenario, plan), this},
      order_{scenario.workload.phase, timeline_} {}

void TwoBatchLayers::prepare(const StepBatch& batch) {
  auto halves = halves_of(batch, plan_.layout);
  for (std::size_t h = 0; h < halves_.size(); ++h) {
    Half& half = halves_[h];
    half.batch = std::move(halves[h]);
    half.times = time_ranks(scenario_, plan_, half.batch);
    half.experts.resize(half.times.attention.size());
    half.attention.clear();
    for (std::size_t r = 0; r < half.times.attention.size(); ++r)
      half.attention.push_back(half.times.attention[r] - half.times.projection[r]);
  }
}

/// The halves of a step draw as if they were steps of their own.
void TwoBatchLayers::draw(Half& half, int step, int layer, int moe_layer) {
  traffic_.draw(step, moe_layer, half.batch, half.loads);
  tell_loads(group_, half.loads, layer, moe_layer, half.batch.tokens);
  experts_(moe_layer, half.loads.rows_per_slot, half.experts);
  half.dispatch = dispatch_time_(half.loads.dispatch_bytes);
  half.combine = combine_time_(half.loads.combine_bytes);
}

HalfLayer TwoBatchLayers::work_of(const Half& half) const {
  return {half.times.projection, half.attention,     half.times.routing, half.times.shared,
          half.experts,          half.dispatch.time, half.combine.time};
}

/// What follows a dispatch is of its layer; the rest is of the layer that is issued.
int TwoBatchLayers::layer_of(int half, Cause cause) const {
  const bool follows = cause == Cause::experts || cause == Cause::dispatch || cause == Cause::combine;
  return follows ? halves_[static_cast<std::size_t>(half)].dispatched_layer : layer_;
}

void TwoBatchLayers::tell(StreamWorked::Kind kind, int half, Cause cause, std::span<const Seconds> begin,
                          std::span<const Seconds> end) const {
  group_.tell(
      StreamWorked{kind, cause, layer_of(half, cause), origin_, begin, end, group_.group(), group_.turn(), half});
}

void TwoBatchLayers::worked(int half, Cause cause, std::span<const Seconds> begin, std::span<const Seconds> end) {
  tell(StreamWorked::Kind::work, half, cause, begin, end);
}

void TwoBatchLayers::waited(int half, Cause cause, std::span<const Seconds> begin, std::span<const Seconds> end) {
  tell(StreamWorked::Kind::wait, half, cause, begin, end);
}

void TwoBatchLayers::started(int half, Cause cause, Seconds begin, Seconds end) {
  Half& of = halves_[static_cast<std::size_t>(half)];
  if (cause == Cause::dispatch) {
    of.dispatched_layer = layer_;
    of.combine_bytes.swap(of.loads.combine_bytes);
    of.returning = of.combine;
  }
  const CollectiveTime& took = cause == Cause::dispatch ? of.dispatch : of.returning;
  group_.tell(BytesMoved{origin_ + end, cause, of.dispatched_layer, end - begin,
                         cause == Cause::dispatch ? of.loads.dispatch_bytes : of.combine_bytes, took.busiest,
                         took.time - took.latency, group_.group(), Pace::beside, group_.turn(), -1, half});
}

void TwoBatchLayers::layer(int step, int layer, int moe_layer) {
  group_.meet(layer - 1);  // dense layers before it
  origin_ = group_.now() - timeline_.met();
  layer_ = layer;
  for (std::size_t h = 0; h < halves_.size(); ++h) draw(halves_[h], 2 * step + static_cast<int>(h), layer, moe_layer);
  order_.layer(work_of(halves_[0]), work_of(halves_[1]));
  charge(layer);
}

void TwoBatchLayers::drain(int layer) {
  group_.meet(layer);  // dense layers
  origin_ = group_.now() - timeline_.met();
  order_.drain();
  charge(layer);
}

void TwoBatchLayers::charge(int layer) {
  timeline_.meet();
  for (int cause = 0; cause < kCauses; ++cause)
    group_.work(static_cast<Cause>(cause), timeline_.spent(static_cast<Cause>(cause)));
  group_.meet(layer, true);
  timeline_.clear();
}

}  // namespace moesim
