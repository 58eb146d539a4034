#include "sim/serving/stage_run.hpp"

#include <algorithm>
#include <optional>

#include "sim/serving/expert_fetch.hpp"
#include "sim/serving/expert_traffic.hpp"
#include "sim/serving/group_exchange.hpp"
#include "sim/serving/lockstep.hpp"
#include "sim/serving/rank_times.hpp"
#include "sim/serving/stage_collectives.hpp"
#include "sim/serving/two_batch_layers.hpp"

namespace moesim {

class StageRun::Run {
public:
  Run(const Scenario& scenario, const Deployment& plan, int stage, Place& place, Place* experts, const Sink& sink)
      : scenario_{scenario},
        plan_{plan},
        topology_{plan.stages[static_cast<std::size_t>(stage)]},
        first_gpu_{stage * plan.layout.ranks},
        first_layer_{plan.layout.first_layer(stage)},
        end_layer_{plan.layout.first_layer(stage + 1)},
        first_moe_layer_{static_cast<int>(
            std::count(scenario.model.moe_layer.begin(), scenario.model.moe_layer.begin() + first_layer_, true))},
        has_head_{stage == plan.layout.spec.pp - 1},
        all_reduce_{plan.all_reduce.empty() ? AllReduceAlgorithm::automatic
                                            : plan.all_reduce[static_cast<std::size_t>(stage)]},
        place_{place},
        expert_place_{experts},
        group_{place.group()},
        expert_group_{experts ? experts->group() : place.group()},
        sink_{sink},
        dispatch_time_{plan.topology, plan.dispatch},
        combine_time_{plan.topology, plan.combine} {
    if (!scenario.model.moe) return;
    traffic_.emplace(scenario, plan, stage);
    experts_.emplace(scenario, plan, first_gpu_ + plan.layout.first_expert_gpu());
    if (scenario.overlap_two_batch) two_batch_.emplace(scenario, plan, *traffic_, *experts_, group_);
    expert_seconds_.resize(static_cast<std::size_t>(plan.layout.expert_ranks()));
    if (!plan.resident.empty()) fetch_.emplace(scenario, plan);
    const auto in_groups = [&](const Topology& topology, const auto& groups, GroupExchange::Collective collective) {
      return GroupExchange{topology, groups, collective, scenario.cluster.gpu.all_gather, plan.curves.get()};
    };
    if (plan.layout.spreads_tokens()) {
      spread_.emplace(in_groups(topology_, plan.layout.attention_tp_groups, reduce_scatter));
      collect_.emplace(in_groups(topology_, plan.layout.attention_tp_groups, all_gather));
    }
    const Topology& experts_at = experts ? plan.stages.back() : topology_;
    if (plan.layout.kind == LayoutKind::data_expert_a2a && plan.layout.spec.expert_tp > 1) {
      gather_rows_.emplace(in_groups(experts_at, plan.layout.expert_tp_groups, all_gather));
      reduce_rows_.emplace(in_groups(experts_at, plan.layout.expert_tp_groups, reduce_scatter));
    }
  }

  std::int64_t operator()(int batch, Turn turn, Clock& clock) {
    clock_ = &clock;
    turn_ = turn;
    place_.enter(clock, turn);
    prepare(batch);
    int moe_layer = first_moe_layer_;
    for (int layer = first_layer_; layer < end_layer_; ++layer) {
      const bool is_moe = scenario_.model.moe_layer[static_cast<std::size_t>(layer)];
      if (two_batch_ && is_moe) {
        two_batch_->layer(batch, layer, moe_layer++);
        group_.advance_clock();
        continue;
      }
      if (two_batch_) two_batch_->drain(layer - 1);
      group_.work(Cause::attention, times_.attention);
      sum_over_tp(layer);
      if (is_moe)
        run_moe(batch, layer, moe_layer++);
      else
        run_dense(layer);
      collect_tokens(layer);
      group_.advance_clock();
    }
    if (two_batch_) two_batch_->drain(end_layer_ - 1);
    if (has_head_) {
      group_.work(Cause::other, times_.head);
      group_.work(Cause::host, scenario_.workload.host_time);
    }
    group_.meet(-1);
    group_.advance_clock();
    place_.leave(clock);
    return batch_.tokens;
  }

private:
  /// Batches repeat with a short period unless an imbalance is drawn: then times are taken anew each step.
  void prepare(int batch) {
    const bool same = batch_period(scenario_) == 1 && scenario_.workload.dp_imbalance == 1;
    if (same && !times_.attention.empty()) return;
    batch_ = batch_of_step(scenario_, plan_.layout, batch);
    times_ = time_ranks(scenario_, plan_, batch_, first_gpu_);
    if (spread_) {
      const std::vector<double> message = activation_bytes(batch_, scenario_.model.hidden);
      spread_->run(message);
      collect_->run(message);
    } else if (plan_.layout.spec.attention_tp > 1) {
      const std::vector<int>& group = plan_.layout.attention_tp_groups.front();
      const Bytes message = summed_bytes(batch_, scenario_.model.hidden);
      const auto reduce = [&](Bytes bytes) {
        return all_reduce(topology_, group, bytes, all_reduce_, scenario_.cluster.gpu.all_reduce,
                          all_reduce_curves(scenario_, plan_));
      };
      const GroupCollective once = reduce(message);
      tp_bytes_ = bytes_on_links(group, once, all_reduce_);
      tp_time_ = with_busiest_link(once.time, reduce(2 * message).time, tp_bytes_, topology_);
    }
    if (two_batch_) two_batch_->prepare(batch_);
    if (plan_.layout.kind == LayoutKind::data_expert_gather) prepare_gather();
  }

  void prepare_gather() {
    const auto& group = plan_.layout.ep_group;
    const CollectiveParameters& parameters = scenario_.cluster.gpu.all_gather;
    const auto timed = [&](GroupExchange::Collective collective, Bytes message, std::vector<double>& bytes) {
      const auto of = [&](Bytes size) { return collective(topology_, group, size, parameters, plan_.curves.get()); };
      const GroupCollective once = of(message);
      bytes = bytes_on_links(group, once);
      return with_busiest_link(once.time, of(2 * message).time, bytes, topology_);
    };
    gather_time_ = timed(all_gather, gathered_bytes(scenario_, plan_, batch_), gather_bytes_);
    scatter_time_ = timed(reduce_scatter, scattered_bytes(scenario_, plan_, batch_), scatter_bytes_);
  }

  std::vector<double> bytes_on_links(const std::vector<int>& group, const GroupCollective& collective,
                                     AllReduceAlgorithm algorithm = AllReduceAlgorithm::automatic) const {
    std::vector<double> bytes(topology_.links().size(), 0.0);
    add_link_bytes(topology_, group, collective.sent_per_gpu, bytes, algorithm);
    return bytes;
  }

  /// Sums over the attention TP group: whole on every rank, or each rank keeping its share of the tokens.
  void sum_over_tp(int layer) {
    if (spread_)
      exchange_in_groups(group_, Cause::tp_collective, layer, *spread_);
    else
      reduce_over_tp(layer);
  }

  /// All tokens of the attention TP group to each of its ranks again.
  void collect_tokens(int layer) {
    if (collect_) exchange_in_groups(group_, Cause::tp_collective, layer, *collect_);
  }

  /// Every group takes its own time, so it counts as work of its ranks.
  void exchange_in_groups(Lockstep& group, Cause cause, int layer, const GroupExchange& exchange) {
    group.work(cause, exchange.seconds());
    const CollectiveTime longest = exchange.slowest(topology_);
    group.tell(BytesMoved{group.now(), cause, layer, longest.time, exchange.link_bytes(), longest.busiest,
                          longest.time - longest.latency, group.group(), Pace::apart, group.turn()});
  }

  void reduce_over_tp(int layer) {
    if (plan_.layout.spec.attention_tp > 1) group_.collective(Cause::tp_collective, layer, tp_time_, tp_bytes_);
  }

  void run_dense(int layer) {
    collect_tokens(layer);
    group_.work(Cause::dense, times_.dense);
    sum_over_tp(layer);
  }

  void run_moe(int batch, int layer, int moe_layer) {
    group_.work(Cause::other, times_.routing);
    traffic_->draw(batch, moe_layer, batch_, loads_);
    tell_loads(group_, loads_, layer, moe_layer, batch_.tokens);
    (*experts_)(moe_layer, loads_.rows_per_slot, expert_seconds_);
    if (fetch_) fetch_experts(layer, moe_layer);
    switch (plan_.layout.kind) {
      case LayoutKind::tensor:
      case LayoutKind::tensor_expert:
        group_.work(Cause::dense, scenario_.overlap_shared_experts ? times_.shared_beside : times_.shared);
        run_experts(layer);
        reduce_over_tp(layer);
        break;
      case LayoutKind::data_expert_gather:
        exchange(layer, gather_time_, gather_bytes_, scatter_time_, scatter_bytes_);
        break;
      case LayoutKind::data_expert_a2a:
        if (expert_place_) return visit_experts(layer);
        exchange(layer, dispatch_time_(loads_.dispatch_bytes), loads_.dispatch_bytes,
                 combine_time_(loads_.combine_bytes), loads_.combine_bytes);
        break;
    }
  }

  void fetch_experts(int layer, int moe_layer) {
    fetch_seconds_.resize(expert_seconds_.size());
    const Fetched fetched = (*fetch_)(moe_layer, loads_.rows_per_slot, fetch_seconds_);
    group_.tell(ExpertsFetched{group_.now(), layer, fetched.wanted, fetched.missed, fetched.bytes});
  }

  /// What the ranks of the experts do between dispatch and combine.
  void run_experts(int layer) {
    if (gather_rows_) exchange_rows(Cause::dispatch, layer, *gather_rows_, plan_.dispatch_payload);
    if (fetch_) expert_group_.work(Cause::offload, fetch_seconds_);
    expert_group_.work(Cause::experts, expert_seconds_);
    if (reduce_rows_) exchange_rows(Cause::combine, layer, *reduce_rows_, plan_.combine_payload);
  }

  /// To the other pool and back; both work on other microbatches meanwhile.
  void visit_experts(int layer) {
    group_.work(Cause::dense, times_.shared);
    group_.meet(layer);
    group_.advance_clock();
    place_.leave(*clock_);
    travel(Cause::dispatch, layer, dispatch_time_(loads_.dispatch_bytes), loads_.dispatch_bytes, group_, expert_group_);
    expert_place_->enter(*clock_, turn_);
    run_experts(layer);
    expert_group_.meet(layer);
    expert_group_.advance_clock();
    expert_place_->leave(*clock_);
    travel(Cause::combine, layer, combine_time_(loads_.combine_bytes), loads_.combine_bytes, expert_group_, group_);
    place_.enter(*clock_, turn_);
  }

  void travel(Cause cause, int layer, const CollectiveTime& took, std::span<const double> link_bytes,
              const Lockstep& from, const Lockstep& to) {
    if (turn_.step >= 0)
      sink_(BytesMoved{clock_->now() + took.time, cause, layer, took.time, link_bytes, took.busiest,
                       took.time - took.latency, from.group(), Pace::beside, turn_, to.group()});
    clock_->advance(took.time);
  }

  /// Tokens out, experts, results back; shared experts run beside the way out when the scenario overlaps them.
  void exchange(int layer, const CollectiveTime& out, std::span<const double> out_bytes, const CollectiveTime& back,
                std::span<const double> back_bytes) {
    if (!scenario_.overlap_shared_experts) group_.work(Cause::dense, times_.shared);
    group_.collective(Cause::dispatch, layer, out, out_bytes);
    if (scenario_.overlap_shared_experts) group_.work_beside(Cause::dense, layer, times_.shared, out.time);
    run_experts(layer);
    group_.collective(Cause::combine, layer, back, back_bytes);
  }

  /// Inside each expert TP group: what its GPUs received, or the partial sums of it.
  void exchange_rows(Cause cause, int layer, GroupExchange& exchange, Bytes per_copy) {
    row_bytes_.clear();
    for (const double copies : loads_.copies_into) row_bytes_.push_back(copies * per_copy.value());
    exchange.run(row_bytes_);
    exchange_in_groups(expert_group_, cause, layer, exchange);
  }

  const Scenario& scenario_;
  const Deployment& plan_;
  const Topology& topology_;
  int first_gpu_, first_layer_, end_layer_, first_moe_layer_;
  bool has_head_;
  AllReduceAlgorithm all_reduce_;
  Place& place_;
  Place* expert_place_;  ///< of experts apart
  Lockstep &group_, &expert_group_;
  const Sink& sink_;
  Clock* clock_ = nullptr;
  Turn turn_;
  FluidTimer dispatch_time_, combine_time_;
  std::optional<GroupExchange> spread_, collect_;           ///< attention TP groups, when they spread their tokens
  std::optional<GroupExchange> gather_rows_, reduce_rows_;  ///< expert TP groups, when they are dispatched to
  std::optional<ExpertTraffic> traffic_;
  std::optional<ExpertPhase> experts_;
  std::optional<ExpertFetch> fetch_;
  std::optional<TwoBatchLayers> two_batch_;
  StepBatch batch_;
  RankTimes times_;
  LayerTraffic loads_;
  CollectiveTime tp_time_, gather_time_, scatter_time_;
  std::vector<double> tp_bytes_, gather_bytes_, scatter_bytes_;
  std::vector<double> expert_seconds_, fetch_seconds_, row_bytes_;
};

StageRun::StageRun(const Scenario& scenario, const Deployment& plan, int stage, Place& place, Place* experts,
                   const Sink& sink)
    : run_{std::make_unique<Run>(scenario, plan, stage, place, experts, sink)} {}
StageRun::~StageRun() = default;
StageRun::StageRun(StageRun&&) noexcept = default;

std::int64_t StageRun::operator()(int batch, Turn turn, Clock& clock) {
  return (*run_)(batch, turn, clock);
}

}  // namespace moesim
