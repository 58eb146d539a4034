#include "sim/serving/stage_collectives.hpp"

#include <algorithm>

namespace moesim {
namespace {

/// An all-gathered token brings its k expert ids (int32) and k weights (fp32).
constexpr double kRouteBytes = 8;

double tokens_on_the_wire(const Scenario& scenario, const Deployment& plan, const StepBatch& batch) {
  if (scenario.communication.dp_padding != DpPadding::max) return static_cast<double>(batch.tokens);
  const std::int64_t most = *std::max_element(batch.tokens_of_rank.begin(), batch.tokens_of_rank.end());
  return static_cast<double>(most * plan.layout.ranks);
}

struct LayerCount {
  int all = 0, moe = 0;
  int dense() const { return all - moe; }
};

LayerCount layers_of(const Scenario& scenario, const Layout& layout, int stage) {
  const auto begin = scenario.model.moe_layer.begin();
  const int first = layout.first_layer(stage), end = layout.first_layer(stage + 1);
  return {end - first, static_cast<int>(std::count(begin + first, begin + end, true))};
}

/// Sequence parallelism: sums are scattered after attention and after a dense FFN, and gathered before that and at the
/// end of the layer.
void add_spread(const Scenario& scenario, const Deployment& plan, const StepBatch& batch, int times,
                std::vector<StageCollective>& made) {
  const std::vector<double> messages = activation_bytes(batch, scenario.model.hidden);
  const auto largest = std::max_element(messages.begin(), messages.end());
  const std::vector<int>& group = plan.layout.attention_tp_groups[static_cast<std::size_t>(largest - messages.begin())];
  for (const KernelOperation operation : {KernelOperation::reduce_scatter, KernelOperation::all_gather})
    made.push_back({operation, Cause::tp_collective, group, Bytes{*largest}, times, plan.curves.get()});
}

}  // namespace

Bytes gathered_bytes(const Scenario& scenario, const Deployment& plan, const StepBatch& batch) {
  const Bytes token = plan.dispatch_payload + Bytes{kRouteBytes * scenario.model.moe->top_k};
  return tokens_on_the_wire(scenario, plan, batch) * token;
}

Bytes scattered_bytes(const Scenario& scenario, const Deployment& plan, const StepBatch& batch) {
  return Bytes{tokens_on_the_wire(scenario, plan, batch) * scenario.model.hidden * kActivationBytes};
}

std::vector<StageCollective> stage_collectives(const Scenario& scenario, const Deployment& plan, int stage,
                                               const StepBatch& batch) {
  const Layout& layout = plan.layout;
  const LayerCount layers = layers_of(scenario, layout, stage);
  std::vector<StageCollective> made;
  if (layout.spreads_tokens())
    add_spread(scenario, plan, batch, layers.all + layers.dense(), made);
  else if (layout.spec.attention_tp > 1)  // after attention and after the FFN
    made.push_back({KernelOperation::all_reduce, Cause::tp_collective, layout.attention_tp_groups.front(),
                    summed_bytes(batch, scenario.model.hidden), 2 * layers.all, all_reduce_curves(scenario, plan)});
  if (layout.kind == LayoutKind::data_expert_gather) {
    made.push_back({KernelOperation::all_gather, Cause::dispatch, layout.ep_group,
                    gathered_bytes(scenario, plan, batch), layers.moe, plan.curves.get()});
    made.push_back({KernelOperation::reduce_scatter, Cause::combine, layout.ep_group,
                    scattered_bytes(scenario, plan, batch), layers.moe, plan.curves.get()});
  }
  return made;
}

}  // namespace moesim
