#include "sim/simulate.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "models/units/error.hpp"
#include "models/units/text.hpp"
#include "sim/audit.hpp"
#include "sim/derived_figures.hpp"
#include "sim/kernel_uses.hpp"
#include "sim/metrics/recorder.hpp"
#include "sim/remedies.hpp"
#include "sim/serving/batch_run.hpp"
#include "sim/serving/deployment_plan.hpp"

namespace moesim {
namespace {

std::optional<Infeasible> misfit(const Scenario& scenario, const Deployment& plan) {
  const MemoryFit& fit = plan.memory;
  if (fit.fits) return std::nullopt;
  const auto largest = std::find_if(fit.lines.begin(), fit.lines.end(),
                                    [&](const MemoryLine& line) { return line.name == fit.breaking_line; });
  return Infeasible{
      fmt::format("{} does not fit: a GPU needs {} of {} usable ({} x memory_fraction {}), most of it '{}' with {}",
                  scenario.model.name, human(fit.needed), human(fit.capacity), human(fit.device),
                  scenario.memory_fraction, fit.breaking_line, human(largest->bytes)),
      memory_remedies(memory_inputs(scenario, plan), fit)};
}

RunShape shape_of(const Scenario& scenario, const Deployment& plan) {
  RunShape shape{.topology = plan.topology,
                 .placement = plan.placement,
                 .ranks = plan.layout.ranks,
                 .layers = scenario.model.layers,
                 .top_k = plan.popularity.top_k,
                 .stages = plan.layout.spec.experts_apart ? 2 : plan.layout.spec.pp,
                 .expert_ranks = plan.layout.spec.experts_apart ? plan.layout.expert_ranks() : 0,
                 .speeds = plan.speeds,
                 .factors = link_factors(scenario.cluster, plan.topology),
                 .hashes_flows = scenario.cluster.spread == SpreadPolicy::ecmp,
                 .oversubscription = scenario.cluster.fabric.oversubscription,
                 .dispatch = plan.dispatch,
                 .combine = plan.combine};
  for (int stage = 0; stage < plan.layout.spec.pp; ++stage)
    for (int layer = plan.layout.first_layer(stage); layer < plan.layout.first_layer(stage + 1); ++layer) {
      if (!scenario.model.moe_layer[static_cast<std::size_t>(layer)]) continue;
      shape.layer_of_moe.push_back(layer);
      shape.stage_of_moe.push_back(stage);
    }
  return shape;
}

std::string headline(const Scenario& scenario, const Deployment& plan) {
  const ClusterSpec& cluster = scenario.cluster;
  std::string text =
      fmt::format("{} · {} x {} ({} {} x {}) · {}", scenario.model.name, cluster.gpus(), cluster.gpu.name,
                  cluster.nodes, cluster.nodes == 1 ? "node" : "nodes", cluster.gpus_per_node, describe(plan.layout));
  if (plan.placement.ranks > 1)
    text += fmt::format(", {} slots ({})", plan.placement.slots(), name_of(scenario.placement.policy));
  const WorkloadSpec& work = scenario.workload;
  return text + fmt::format(" · {}, {} tokens/GPU, {} {}", name_of(work.phase), work.tokens_per_gpu,
                            work.phase == Phase::decode ? "context" : "prompt", work.context);
}

}  // namespace

MemoryVerdict check_memory(const Scenario& scenario) {
  const Deployment plan = plan_deployment(scenario);
  kernel_uses(scenario, plan);  // refuses what the profile lacks
  return {plan.memory, misfit(scenario, plan), plan.notes};
}

Summary simulate(const Scenario& scenario, std::optional<int> audited, const ListenerMaker& listen) {
  const Deployment plan = plan_deployment(scenario);
  if (const auto refusal = misfit(scenario, plan)) throw Infeasible{*refusal};
  const std::vector<KernelUse> kernels = kernel_uses(scenario, plan);
  const RunShape shape = shape_of(scenario, plan);
  const Listener listener = listen ? listen(shape) : nullptr;
  const std::optional<Audit> checked = audit(scenario, plan, audited ? *audited : default_audit(scenario, plan));

  Recorder recorder{shape};
  run_batches(scenario, plan, [&](const Event& event) {
    recorder(event);
    if (listener) listener(event);
  });

  Summary summary;
  summary.scenario_name = scenario.name;
  summary.question = scenario.question;
  summary.headline = headline(scenario, plan);
  summary.chosen = plan.chosen;
  summary.remarks = plan.notes;
  summary.model = scenario.model.name;
  summary.gpu = scenario.cluster.gpu.name;
  summary.gpus = plan.layout.gpus();
  summary.cluster_gpus = scenario.cluster.gpus();
  if (has_equal_nodes(scenario.cluster)) summary.gpus_per_node = scenario.cluster.gpus_per_node;
  summary.nodes = scenario.cluster.nodes;
  summary.memory = plan.memory;
  summary.audit = checked;
  recorder.summarise(summary);
  add_remedies(scenario, plan, summary);
  summary.kernels = kernels;
  add_derived_figures(scenario, plan, summary);
  summary.version = MOESIM_VERSION;
  summary.scenario_hash = scenario_hash(scenario);
  summary.seed = scenario.seed;
  summary.simgrid = simgrid_version();
  summary.kernel_source = name_of(plan.kernels->source());
  summary.profile = plan.kernel_profile;
  return summary;
}

}  // namespace moesim
