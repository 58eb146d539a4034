#include "sim/serving/batch_run.hpp"

#include <algorithm>
#include <optional>

#include "sim/serving/expert_traffic.hpp"
#include "sim/serving/group_exchange.hpp"
#include "sim/serving/rank_times.hpp"
#include "sim/serving/two_batch_layers.hpp"

namespace moesim {
namespace {

/// bf16 activations: what all-reduce and reduce-scatter carry.
constexpr double kActivationBytes = 2;
/// An all-gathered token brings its k expert ids (int32) and k weights (fp32).
constexpr double kRouteBytes = 8;

class BatchRun {
public:
  BatchRun(const Scenario& scenario, const Deployment& plan, Clock& clock, const Sink& sink)
      : scenario_{scenario},
        plan_{plan},
        clock_{clock},
        group_{plan.layout.ranks, clock, sink},
        dispatch_time_{plan.topology, plan.dispatch},
        combine_time_{plan.topology, plan.combine} {
    if (!scenario.model.moe) return;
    traffic_.emplace(scenario, plan);
    experts_.emplace(scenario, plan);
    if (scenario.overlap_two_batch) two_batch_.emplace(scenario, plan, *traffic_, *experts_, group_);
    expert_seconds_.resize(static_cast<std::size_t>(plan.layout.ranks));
    const auto in_groups = [&](const auto& groups, GroupExchange::Collective collective) {
      return GroupExchange{plan.topology, groups, collective, scenario.cluster.gpu.all_gather};
    };
    if (plan.layout.spreads_tokens()) {
      spread_.emplace(in_groups(plan.layout.attention_tp_groups, reduce_scatter));
      collect_.emplace(in_groups(plan.layout.attention_tp_groups, all_gather));
    }
    if (plan.layout.kind == LayoutKind::data_expert_a2a && plan.layout.spec.expert_tp > 1) {
      gather_rows_.emplace(in_groups(plan.layout.expert_tp_groups, all_gather));
      reduce_rows_.emplace(in_groups(plan.layout.expert_tp_groups, reduce_scatter));
    }
  }

  void run() {
    for (int step = 0; step < scenario_.workload.steps; ++step) run_step(step);
  }

private:
  void run_step(int step) {
    const Seconds start = clock_.now();
    prepare(step);
    int moe_layer = 0;
    for (int layer = 0; layer < scenario_.model.layers; ++layer) {
      const bool is_moe = scenario_.model.moe_layer[static_cast<std::size_t>(layer)];
      if (two_batch_ && is_moe) {
        two_batch_->layer(step, layer, moe_layer++);
        group_.advance_clock();
        continue;
      }
      if (two_batch_) two_batch_->drain(layer);
      group_.work(Cause::attention, times_.attention);
      sum_over_tp(layer);
      if (is_moe)
        run_moe(step, layer, moe_layer++);
      else
        run_dense(layer);
      collect_tokens(layer);
      group_.advance_clock();
    }
    if (two_batch_) two_batch_->drain(scenario_.model.layers - 1);
    group_.work(Cause::other, times_.head);
    group_.meet(-1);
    group_.advance_clock();
    group_.tell(StepFinished{clock_.now(), clock_.now() - start, step, batch_.tokens});
  }

  /// Batches repeat with a short period unless an imbalance is drawn: then times are taken anew each step.
  void prepare(int step) {
    if (step > 0 && batch_period(scenario_) == 1 && scenario_.workload.dp_imbalance == 1) return;
    batch_ = batch_of_step(scenario_, plan_.layout, step);
    times_ = time_ranks(scenario_, plan_, batch_);
    const double activations = static_cast<double>(batch_.tokens) * scenario_.model.hidden * kActivationBytes;
    if (spread_) {
      std::vector<double> message;
      for (const RankBatch& rank : batch_.of_dp_rank)
        message.push_back(rank.tokens() * scenario_.model.hidden * kActivationBytes);
      spread_->run(message);
      collect_->run(message);
    } else if (plan_.layout.spec.attention_tp > 1) {
      const GroupCollective reduce =
          all_reduce(plan_.topology, plan_.layout.attention_tp_groups.front(), Bytes{activations},
                     scenario_.communication.all_reduce, scenario_.cluster.gpu.all_reduce);
      tp_time_ = reduce.time;
      tp_bytes_ = bytes_on_links(plan_.layout.attention_tp_groups.front(), reduce, reduce.algorithm);
    }
    if (two_batch_) two_batch_->prepare(batch_);
    if (plan_.layout.kind == LayoutKind::data_expert_gather) prepare_gather();
  }

  void prepare_gather() {
    const double token = plan_.dispatch_payload.value() + kRouteBytes * scenario_.model.moe->top_k;
    std::int64_t most = 0;
    for (const std::int64_t tokens : batch_.tokens_of_rank) most = std::max(most, tokens);
    const bool padded = scenario_.communication.dp_padding == DpPadding::max;
    const double tokens = static_cast<double>(padded ? most * plan_.layout.ranks : batch_.tokens);
    const auto& group = plan_.layout.ep_group;
    const CollectiveParameters& parameters = scenario_.cluster.gpu.all_gather;
    const GroupCollective gather = all_gather(plan_.topology, group, Bytes{tokens * token}, parameters);
    const GroupCollective scatter =
        reduce_scatter(plan_.topology, group, Bytes{tokens * scenario_.model.hidden * kActivationBytes}, parameters);
    gather_time_ = gather.time;
    scatter_time_ = scatter.time;
    gather_bytes_ = bytes_on_links(group, gather);
    scatter_bytes_ = bytes_on_links(group, scatter);
  }

  std::vector<double> bytes_on_links(const std::vector<int>& group, const GroupCollective& collective,
                                     AllReduceAlgorithm algorithm = AllReduceAlgorithm::automatic) const {
    std::vector<double> bytes(plan_.topology.links().size(), 0.0);
    add_link_bytes(plan_.topology, group, collective.sent_per_gpu, bytes, algorithm);
    return bytes;
  }

  /// Sums over the attention TP group: whole on every rank, or each rank keeping its share of the tokens.
  void sum_over_tp(int layer) {
    if (spread_)
      exchange_in_groups(Cause::tp_collective, layer, *spread_);
    else
      reduce_over_tp(layer);
  }

  /// All tokens of the attention TP group to each of its ranks again.
  void collect_tokens(int layer) {
    if (collect_) exchange_in_groups(Cause::tp_collective, layer, *collect_);
  }

  /// Every group takes its own time, so it counts as work of its ranks.
  void exchange_in_groups(Cause cause, int layer, const GroupExchange& exchange) {
    group_.work(cause, exchange.seconds().first(static_cast<std::size_t>(plan_.layout.ranks)));
    group_.tell(BytesMoved{group_.now(), cause, layer, exchange.longest(), exchange.link_bytes()});
  }

  void reduce_over_tp(int layer) {
    if (plan_.layout.spec.attention_tp > 1)
      group_.collective(Cause::tp_collective, layer, {tp_time_, {}, -1}, tp_bytes_);
  }

  void run_dense(int layer) {
    collect_tokens(layer);
    group_.work(Cause::dense, times_.dense);
    sum_over_tp(layer);
  }

  void run_moe(int step, int layer, int moe_layer) {
    group_.work(Cause::other, times_.routing);
    traffic_->draw(step, moe_layer, batch_, loads_);
    tell_loads(group_, loads_, layer, moe_layer, batch_.tokens);
    (*experts_)(loads_.rows_per_slot, expert_seconds_);
    switch (plan_.layout.kind) {
      case LayoutKind::tensor:
      case LayoutKind::tensor_expert:
        group_.work(Cause::dense, times_.shared);
        group_.work(Cause::experts, expert_seconds_);
        reduce_over_tp(layer);
        break;
      case LayoutKind::data_expert_gather:
        exchange(layer, {gather_time_, {}, -1}, gather_bytes_, {scatter_time_, {}, -1}, scatter_bytes_);
        break;
      case LayoutKind::data_expert_a2a:
        exchange(layer, dispatch_time_(loads_.dispatch_bytes), loads_.dispatch_bytes,
                 combine_time_(loads_.combine_bytes), loads_.combine_bytes);
        break;
    }
  }

  /// Tokens out, experts, results back; shared experts run beside the way out when the scenario overlaps them.
  void exchange(int layer, const CollectiveTime& out, std::span<const double> out_bytes, const CollectiveTime& back,
                std::span<const double> back_bytes) {
    if (!scenario_.overlap_shared_experts) group_.work(Cause::dense, times_.shared);
    group_.collective(Cause::dispatch, layer, out, out_bytes);
    if (scenario_.overlap_shared_experts) {
      exposed_.resize(times_.shared.size());
      bool any = false;
      for (std::size_t r = 0; r < exposed_.size(); ++r) {
        exposed_[r] = std::max(0.0, times_.shared[r] - out.time.value());
        any = any || exposed_[r] > 0;
      }
      if (any) group_.work(Cause::dense, exposed_);
    }
    if (gather_rows_) exchange_rows(Cause::dispatch, layer, *gather_rows_, plan_.dispatch_payload);
    group_.work(Cause::experts, expert_seconds_);
    if (reduce_rows_) exchange_rows(Cause::combine, layer, *reduce_rows_, plan_.combine_payload);
    group_.collective(Cause::combine, layer, back, back_bytes);
  }

  /// Inside each expert TP group: what its GPUs received, or the partial sums of it.
  void exchange_rows(Cause cause, int layer, GroupExchange& exchange, Bytes per_copy) {
    row_bytes_.clear();
    for (const double copies : loads_.copies_into) row_bytes_.push_back(copies * per_copy.value());
    exchange.run(row_bytes_);
    exchange_in_groups(cause, layer, exchange);
  }

  const Scenario& scenario_;
  const Deployment& plan_;
  Clock& clock_;
  Lockstep group_;
  FluidTimer dispatch_time_, combine_time_;
  std::optional<GroupExchange> spread_, collect_;           ///< attention TP groups, when they spread their tokens
  std::optional<GroupExchange> gather_rows_, reduce_rows_;  ///< expert TP groups, when they are dispatched to
  std::optional<ExpertTraffic> traffic_;
  std::optional<ExpertPhase> experts_;
  std::optional<TwoBatchLayers> two_batch_;
  StepBatch batch_;
  RankTimes times_;
  LayerTraffic loads_;
  Seconds tp_time_, gather_time_, scatter_time_;
  std::vector<double> tp_bytes_, gather_bytes_, scatter_bytes_;
  std::vector<double> expert_seconds_, exposed_, row_bytes_;
};

}  // namespace

Seconds run_batches(const Scenario& scenario, const Deployment& plan, const Sink& sink) {
  return run_actors({{"lockstep group", [&](Clock& clock) { BatchRun{scenario, plan, clock, sink}.run(); }}});
}

}  // namespace moesim
