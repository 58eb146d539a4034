#include "sim/serving/rank_times.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <tuple>

#include "models/llm/expert_slices.hpp"

namespace moesim {
namespace {

struct OneRank {
  double attention, projection, routing, shared, shared_beside, dense, head;
};

/// Tokens that a rank's own FFN, router and shared experts see: the DP padding makes idle slots count.
double padded_tokens(const Scenario& scenario, const StepBatch& batch, const RankBatch& own) {
  if (scenario.communication.dp_padding == DpPadding::none) return own.tokens();
  double most = 0;
  for (const RankBatch& other : batch.of_dp_rank) most = std::max(most, other.tokens());
  return most;
}

/// Mean over layers, some of which may look back less far than others. Ranks wait for each other in every layer, and
/// the same one is last in all of them.
double attention_seconds(const Scenario& scenario, const Deployment& plan, const RankBatch& batch, int tp) {
  const Architecture& model = scenario.model;
  const auto seconds = [&](Reach reach) {
    return total_time(*plan.kernels, attention_ops(model, scenario.precision, batch, tp, reach)).value();
  };
  if (model.windowed_layers() == 0) return seconds(Reach::full);
  const double narrow = static_cast<double>(model.windowed_layers()) / model.layers;
  return narrow * seconds(Reach::windowed) + (narrow < 1 ? (1 - narrow) * seconds(Reach::full) : 0);
}

/// Up to the attention core, which windows do not touch.
double projection_seconds(const Scenario& scenario, const Deployment& plan, const RankBatch& batch, int tp) {
  auto ops = attention_ops(scenario.model, scenario.precision, batch, tp, Reach::full);
  const auto core = std::find_if(ops.begin(), ops.end(),
                                 [](const Op& op) { return std::holds_alternative<AttentionCore>(op.shape); });
  ops.erase(core, ops.end());
  return total_time(*plan.kernels, ops).value();
}

/// Beside the model, once per step: LoRA, adapters.
double extra_seconds(const Scenario& scenario, const Deployment& plan, double tokens) {
  double seconds = 0;
  for (const ExtraOp& extra : scenario.extra_ops) seconds += plan.kernels->time(extra_op(extra, tokens)).value();
  return seconds;
}

/// What shared experts hide when they run with the routed ones, on a stream of their own or as one more expert
/// (SGLang's fusion): HBM and tensor cores are as busy as ever, launches and the way through a small kernel are not
/// seen. That is what one token takes beyond reading its weights.
double hidden_shared_seconds(const Scenario& scenario, const Deployment& plan) {
  const Gpu& gpu = scenario.cluster.gpu;
  Seconds hidden;
  for (const Op& op : shared_expert_ops(scenario.model, scenario.precision, 1, plan.layout.shared_expert_tp())) {
    const Seconds reading = op.bytes / (gpu.memory_efficiency * gpu.memory_bandwidth);
    hidden += std::max(Seconds{0}, plan.kernels->time(op) - reading);
  }
  return hidden.value();
}

OneRank time_one(const Scenario& scenario, const Deployment& plan, const RankBatch& batch, double tokens,
                 double finished) {
  const Architecture& model = scenario.model;
  const Precision& precision = scenario.precision;
  const int tp = plan.layout.spec.attention_tp;
  const double own = plan.layout.spreads_tokens() ? tokens / tp : tokens;
  const auto seconds = [&](const std::vector<Op>& ops) { return total_time(*plan.kernels, ops).value(); };
  const double shared =
      model.moe ? seconds(shared_expert_ops(model, precision, own, plan.layout.shared_expert_tp())) : 0;
  return {
      attention_seconds(scenario, plan, batch, tp),
      projection_seconds(scenario, plan, batch, tp),
      model.moe ? seconds(routing_ops(model, precision, own)) : 0,
      shared,
      shared > 0 ? std::max(0.0, shared - hidden_shared_seconds(scenario, plan)) : 0,
      model.dense_layers() > 0 ? seconds(dense_ffn_ops(model, precision, tokens, tp)) : 0,
      (finished > 0 ? seconds(head_ops(model, precision, finished, tp)) : 0) + extra_seconds(scenario, plan, tokens)};
}

/// Of the GPUs from this one on, empty where none is slow.
std::span<const double> speeds_from(const Deployment& plan, int first_gpu) {
  return plan.speeds.empty() ? std::span<const double>{}
                             : std::span{plan.speeds}.subspan(static_cast<std::size_t>(first_gpu));
}

void slow_down(std::span<double> seconds, std::span<const double> speeds) {
  if (speeds.empty()) return;
  for (std::size_t r = 0; r < seconds.size(); ++r) seconds[r] /= speeds[r];
}

}  // namespace

RankTimes time_ranks(const Scenario& scenario, const Deployment& plan, const StepBatch& batch, int first_gpu) {
  std::map<std::tuple<double, double, double, double, double>, OneRank> known;
  RankTimes times;
  for (std::size_t dp = 0; dp < batch.of_dp_rank.size(); ++dp) {
    const RankBatch& own = batch.of_dp_rank[dp];
    const double tokens = padded_tokens(scenario, batch, own);
    const double finished = batch.finished_prompts[dp];
    const auto key = std::tuple{own.sequences, own.new_tokens, own.context, tokens, finished};
    auto found = known.find(key);
    if (found == known.end()) found = known.emplace(key, time_one(scenario, plan, own, tokens, finished)).first;
    for (int i = 0; i < plan.layout.spec.attention_tp; ++i) {
      times.attention.push_back(found->second.attention);
      times.projection.push_back(found->second.projection);
      times.routing.push_back(found->second.routing);
      times.shared.push_back(found->second.shared);
      times.shared_beside.push_back(found->second.shared_beside);
      times.dense.push_back(found->second.dense);
      times.head.push_back(found->second.head);
    }
  }
  const auto speeds = speeds_from(plan, first_gpu);
  for (auto* seconds : {&times.attention, &times.routing, &times.shared, &times.shared_beside, &times.dense,
                        &times.head, &times.projection})
    slow_down(*seconds, speeds);
  return times;
}

ExpertShape expert_shape(const Scenario& scenario, const Deployment& plan, NumberFormat format) {
  const MoeSpec& moe = *scenario.model.moe;
  const int tp = plan.layout.spec.expert_tp;
  return {.hidden = scenario.model.hidden,
          .expert_hidden = expert_slice_width(scenario.model, format, tp),
          .format = format,
          .slots = plan.placement.slots_per_rank,
          .experts = moe.experts,
          .top_k = moe.top_k,
          .own_width = moe.expert_hidden / tp};
}

double entering_tokens(LayoutKind layout, double tokens, double own_rows, int top_k) {
  if (layout != LayoutKind::data_expert_a2a || own_rows <= 0) return tokens;
  return tokens * (1 - std::pow(std::max(0.0, 1 - own_rows / (tokens * top_k)), top_k));
}

ExpertPhase::ExpertPhase(const Scenario& scenario, const Deployment& plan, int first_gpu)
    : layout_{plan.layout.kind},
      speeds_{speeds_from(plan, first_gpu)},
      placement_ranks_{static_cast<std::size_t>(plan.placement.ranks)},
      slots_per_rank_{static_cast<std::size_t>(plan.placement.slots_per_rank)},
      top_k_{scenario.model.moe->top_k} {
  const std::vector<NumberFormat> used = plan.formats->used();
  for (const NumberFormat format : used)
    kernels_.push_back(plan.kernels->experts(expert_shape(scenario, plan, format)));
  if (used.size() == 1) return;
  for (int l = 0; l < plan.placement.layers; ++l)
    for (const int expert : plan.placement.layer(l)) {  // an empty slot never has a row
      const NumberFormat format = expert < 0 ? used.front() : plan.formats->of(l, expert);
      const auto kernel = std::find(used.begin(), used.end(), format) - used.begin();
      kernel_of_slot_.push_back(static_cast<std::uint8_t>(kernel));
    }
}

Seconds ExpertPhase::time_mixed(std::size_t first_slot, std::span<const std::int32_t> rows, double tokens) const {
  Seconds sum;
  std::vector<std::int32_t> own(rows.size());
  for (std::size_t kernel = 0; kernel < kernels_.size(); ++kernel) {
    for (std::size_t s = 0; s < rows.size(); ++s) own[s] = kernel_of_slot_[first_slot + s] == kernel ? rows[s] : 0;
    sum += (*kernels_[kernel])(own, tokens);
  }
  return sum;
}

void ExpertPhase::operator()(int moe_layer, std::span<const std::int32_t> rows_per_slot,
                             std::span<double> seconds) const {
  const std::size_t width = seconds.size() / placement_ranks_;
  const std::size_t layer = static_cast<std::size_t>(moe_layer) * rows_per_slot.size();
  const auto sum = [](std::span<const std::int32_t> rows) {
    return static_cast<double>(std::accumulate(rows.begin(), rows.end(), std::int64_t{0}));
  };
  const double group_tokens = sum(rows_per_slot) / top_k_;
  for (std::size_t p = 0; p < placement_ranks_; ++p) {
    const auto rows = rows_per_slot.subspan(p * slots_per_rank_, slots_per_rank_);
    const double tokens = entering_tokens(layout_, group_tokens, sum(rows), top_k_);
    const Seconds took = kernel_of_slot_.empty() ? (*kernels_.front())(rows, tokens)
                                                 : time_mixed(layer + p * slots_per_rank_, rows, tokens);
    std::fill_n(seconds.begin() + static_cast<std::ptrdiff_t>(p * width), width, took.value());
  }
  slow_down(seconds, speeds_);
}

}  // namespace moesim
