#include "sim/serving/deployment_plan.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "models/kernels/published/measured_times.hpp"
#include "models/units/error.hpp"
#include "sim/scenario/remarks.hpp"
#include "sim/serving/batch.hpp"
#include "sim/serving/profile_place.hpp"
#include "sim/serving/token_exchange.hpp"

namespace moesim {
namespace {

/// Draws of single tokens that a run may cost before the aggregate sampler takes over (about half a second).
constexpr double kTokenDrawsOfARun = 2e6;
/// Below this mean load an expert's count is far from normal and the aggregate law is not trusted.
constexpr double kSmallMeanLoad = 16;

/// Why only the token sampler can draw this, "" when either can.
std::string_view needs_tokens(const Scenario& scenario) {
  if (scenario.routing.capacity.policy != CapacityPolicy::none) return "places are given to tokens, not to loads";
  switch (scenario.routing.kind) {
    case RoutingKind::trace:
      return "a trace is replayed token by token";
    case RoutingKind::mixture:
      return "tokens of a request share its domain";
    case RoutingKind::markov:
      return "tokens depend on the token and the layer before";
    case RoutingKind::logits:
      return "tokens go through the router one by one";
    case RoutingKind::expert_choice:
      return "the number of experts varies from token to token";
    default:
      return "";
  }
}

Sampler choose_sampler(const Scenario& scenario, const Layout& layout, std::map<std::string, std::string>& chosen) {
  const bool nearest = scenario.communication.replicas == ReplicaChoice::static_nearest;
  const std::string_view reason = needs_tokens(scenario);
  if (scenario.routing.sampler == Sampler::aggregate) {
    if (!reason.empty())
      throw InputError{"routing.sampler", fmt::format("aggregate with routing.kind {}", name_of(scenario.routing.kind)),
                       fmt::format("token: {}", reason)};
    if (nearest)
      throw NotModelledYet{"routing.sampler", "aggregate with communication.replicas static_nearest", "sampler token"};
    return Sampler::aggregate;
  }
  if (scenario.routing.sampler == Sampler::token) return Sampler::token;
  const double tokens = tokens_of_dp_rank(scenario.workload, layout.spec) * layout.spec.attention_dp;
  const double mean_load = tokens * scenario.model.moe->top_k / scenario.model.moe->experts;
  const bool token =
      !reason.empty() || nearest || mean_load < kSmallMeanLoad ||
      tokens * layout.spec.microbatches * scenario.model.moe_layers() * scenario.workload.steps <= kTokenDrawsOfARun;
  chosen["routing.sampler"] = token ? "token" : "aggregate";
  return token ? Sampler::token : Sampler::aggregate;
}

/// A copy rule without a dispatch is refused, never ignored. (make_layout refuses an idle all_to_all.)
void refuse_idle_copies(const Scenario& scenario, const Layout& layout) {
  if (!scenario.communication.copies || layout.kind == LayoutKind::data_expert_a2a) return;
  throw InputError{"communication.copies", std::string{name_of(*scenario.communication.copies)},
                   fmt::format("auto: {} has no dispatch", describe(layout))};
}

/// Two micro-batches need a dispatch to hide, and ranks whose compute stream holds no other collective.
void refuse_two_batch(const Scenario& scenario, const Layout& layout) {
  if (!scenario.overlap_two_batch) return;
  if (!scenario.overlap_shared_experts)
    throw InputError{"overlap.shared_experts", "false with overlap.two_batch true",
                     "true: the order of two micro-batches places the shared experts"};
  const auto refuse = [&](const char* instead) {
    throw NotModelledYet{"overlap.two_batch", fmt::format("true with {}", describe(layout)), instead};
  };
  if (layout.spec.pp > 1) refuse("pp 1, or false");
  if (layout.spec.experts_apart) refuse("layout.microbatches, which overlap the pools, and false");
  if (layout.kind != LayoutKind::data_expert_a2a)
    refuse("a layout that dispatches (attention dp with experts ep), or false");
  if (layout.spec.attention_tp > 1 || layout.spec.expert_tp > 1) refuse("attention tp 1 and experts tp 1, or false");
}

/// A stage or pool is whole nodes or lies in one: what else would share its links differently is refused.
std::vector<Topology> windows(const Topology& topology, const Layout& layout) {
  if (layout.spec.experts_apart) {
    try {
      return {topology.window(0, layout.ranks), topology.window(layout.ranks, layout.expert_ranks())};
    } catch (const std::invalid_argument&) {
      throw InputError{"layout",
                       fmt::format("pools of {} and {} GPUs on nodes of {}", layout.ranks, layout.expert_ranks(),
                                   topology.gpus_per_node()),
                       "pools of whole nodes, or both in one node"};
    }
  }
  if (layout.spec.pp == 1) return {topology};
  std::vector<Topology> stages;
  for (int stage = 0; stage < layout.spec.pp; ++stage) {
    try {
      stages.push_back(topology.window(stage * layout.ranks, layout.ranks));
    } catch (const std::invalid_argument&) {
      throw InputError{
          "layout.pp",
          fmt::format("{} stages of {} GPUs on nodes of {}", layout.spec.pp, layout.ranks, topology.gpus_per_node()),
          "stages of whole nodes, or nodes of whole stages"};
    }
  }
  return stages;
}

/// Expert-parallel ranks hold slots; tensor-parallel ones hold a slice of every expert, which is one slot per expert.
Placement place_experts(const Scenario& scenario, const Layout& layout, const ExpertPopularity& popularity) {
  const int ep = layout.spec.expert_ep;
  if (ep == 1 && (scenario.placement.policy != PlacementPolicy::linear || scenario.placement.redundant != 0))
    throw InputError{
        "placement", std::string{name_of(scenario.placement.policy)},
        fmt::format("linear without redundant experts: {} holds every expert on every rank", describe(layout))};
  return place(scenario.placement, placement_target(scenario, layout, popularity.experts), popularity.layers,
               popularity.experts, popularity.inclusion);
}

ExpertFormats formats_of(const Scenario& scenario, const ExpertPopularity& popularity) {
  const ExpertStoreSpec& spec = scenario.experts;
  if (!spec.listed.empty()) return listed_formats(scenario.model, spec.listed, "precision.experts");
  if (!spec.cold) return ExpertFormats{scenario.model, scenario.precision.experts};
  return cold_expert_formats(scenario.model, popularity.inclusion, spec.cold_below, scenario.precision.experts,
                             *spec.cold);
}

/// What plan.placement holds in which format, and what of it stays on the GPUs.
void store_experts(const Scenario& scenario, Deployment& plan) {
  const ExpertStoreSpec& spec = scenario.experts;
  plan.formats = formats_of(scenario, plan.popularity);
  if (spec.penalties)  // a penalty that is missing shows before the run
    load_weighted_penalty(*plan.formats, *spec.penalties, plan.popularity.inclusion);
  if (spec.offload.to == OffloadTo::none) return;
  if (scenario.overlap_two_batch) throw NotModelledYet{"offload.to", "offload with overlap.two_batch true", "none"};
  if (spec.offload.resident > plan.placement.slots_per_rank)
    throw InputError{"offload.resident", fmt::format("{}", spec.offload.resident),
                     fmt::format("at most {}, the expert slots of a layer on each GPU", plan.placement.slots_per_rank)};
  plan.resident = hottest_slots(plan.placement, plan.popularity, spec.offload.resident);
}

/// Experts of the fullest rank of every stage, unless all are in precision.experts.
std::vector<StoredExperts> mixed_experts(const Scenario& scenario, const Deployment& plan) {
  std::vector<StoredExperts> of_stage;
  if (!plan.formats || plan.formats->uniform() == scenario.precision.experts) return of_stage;
  MoeLayers layers{0, 0};
  for (int stage = 0; stage < plan.layout.spec.pp; ++stage) {
    layers = {layers.end, layers.end + model_of_stage(scenario.model, plan.layout, stage).moe_layers()};
    of_stage.push_back(stored_experts(scenario.model, *plan.formats, plan.placement, plan.resident,
                                      plan.layout.spec.expert_tp, layers));
  }
  return of_stage;
}

/// Of the attention TP groups of each stage, where they sum what their ranks have. All batches of a run are alike then.
std::vector<AllReduceAlgorithm> choose_all_reduce(const Scenario& scenario, Deployment& plan) {
  std::vector<AllReduceAlgorithm> of_stage;
  if (plan.layout.spec.attention_tp == 1 || plan.layout.spreads_tokens()) return of_stage;
  const Bytes message = summed_bytes(batch_of_step(scenario, plan.layout, 0), scenario.model.hidden);
  std::vector<std::string> names;
  for (int stage = 0; stage < plan.layout.spec.pp; ++stage) {
    const Topology& topology = plan.stages[static_cast<std::size_t>(stage)];
    const GroupCollective made =
        all_reduce(topology, plan.layout.attention_tp_groups.front(), message, scenario.communication.all_reduce,
                   scenario.cluster.gpu.all_reduce, all_reduce_curves(scenario, plan));
    of_stage.push_back(made.algorithm);
    const std::string name = made.measured ? fmt::format("as {} measured it (bytes on links: {})",
                                                         made.measured->library, name_of(made.algorithm))
                                           : std::string{name_of(made.algorithm)};
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
  if (scenario.communication.all_reduce == AllReduceAlgorithm::automatic)
    plan.chosen["communication.all_reduce"] = fmt::format("{}", fmt::join(names, ", "));
  return of_stage;
}

RankBatch largest_batch(const Scenario& scenario, const Layout& layout) {
  RankBatch largest;
  const int steps = std::min(scenario.workload.steps, batch_period(scenario));
  for (int step = 0; step < std::max(steps, 1); ++step)
    for (const RankBatch& batch : batch_of_step(scenario, layout, step).of_dp_rank)
      if (batch.sequences * (batch.context + batch.new_tokens) >=
          largest.sequences * (largest.context + largest.new_tokens))
        largest = batch;
  return largest;
}

std::unique_ptr<KernelTimes> kernel_times(const Scenario& scenario, Deployment& plan) {
  const Gpu& gpu = scenario.cluster.gpu;
  if (scenario.kernels.is_roofline()) return make_roofline(gpu);
  const KernelModel model = load_kernel_model(scenario.kernels.profile);
  const EngineModel& engine = find_engine(model, scenario.kernels.engine, scenario.kernels.engine_where);
  plan.kernel_profile = fmt::format("{} ({} {})", model.name, engine.name, engine.version);
  if (scenario.kernels.engine == "auto") plan.chosen["kernels.engine"] = engine.name;
  if (model.gpu == gpu.name && !model.collectives.empty())
    plan.curves = std::make_unique<CollectiveCurves>(model, engine.name);
  return at_profile_key(scenario.kernels, [&] {
    return make_measured_times(model, gpu, {engine.name, scenario.kernels.roofline_fallback});
  });
}

}  // namespace

Deployment plan_deployment(const Scenario& scenario) {
  check_served(scenario.cluster);
  const int gpus = scenario.cluster.gpus();
  Deployment plan{.topology = Topology{scenario.cluster},
                  .layout = make_layout(scenario.layout, scenario.model, gpus, scenario.communication.all_to_all)};
  plan.stages = windows(plan.topology, plan.layout);
  plan.notes = remarks_on(scenario);
  refuse_idle_copies(scenario, plan.layout);
  refuse_two_batch(scenario, plan.layout);
  if (plan.layout.gpus() < gpus)
    plan.notes.push_back(
        fmt::format("{} of {} GPUs are idle; figures per GPU are those of the {} in use, costs those of all",
                    gpus - plan.layout.gpus(), gpus, plan.layout.gpus()));
  plan.kernels = kernel_times(scenario, plan);
  plan.speeds = gpu_speeds(scenario.cluster);
  plan.dispatch_payload = payload(scenario.model.hidden, scenario.precision.dispatch);
  plan.combine_payload = payload(scenario.model.hidden, scenario.precision.combine);
  if (plan.layout.kind == LayoutKind::data_expert_a2a) {
    const TokenExchange exchange = choose_exchange(scenario, plan.layout, plan.chosen, plan.notes);
    plan.all_to_all = exchange.all_to_all;
    plan.copies = exchange.copies;
    plan.dispatch = exchange.dispatch;
    plan.combine = exchange.combine;
    remark_on_copies(plan.all_to_all, plan.copies, plan.notes);
  } else {
    plan.all_to_all = scenario.communication.all_to_all;
  }
  plan.all_reduce = choose_all_reduce(scenario, plan);
  if (scenario.model.moe) {
    plan.popularity = expert_popularity(scenario.routing, scenario.model, scenario.seed);
    plan.placement = place_experts(scenario, plan.layout, plan.popularity);
    store_experts(scenario, plan);
    plan.sampler = choose_sampler(scenario, plan.layout, plan.chosen);
  }
  plan.memory = fit_memory(memory_inputs(scenario, plan));
  if (plan.layout.spec.experts_apart) {
    plan.notes.push_back(
        fmt::format("memory is that of the {} pool, the fuller one", plan.memory.stage == 0 ? "attention" : "expert"));
    plan.notes.push_back("pools: while a pool waits for the other one or for the network, time is charged to pipeline");
  }
  if (plan.layout.spec.pp > 1) {
    plan.notes.push_back(fmt::format("memory is that of stage {}, the fullest of {} (layers {})", plan.memory.stage,
                                     plan.layout.spec.pp, fmt::join(plan.layout.spec.stage_layers, " + ")));
    plan.notes.push_back("pipeline: activations between stages do not contend with the collectives inside them");
  }
  return plan;
}

const CollectiveCurves* all_reduce_curves(const Scenario& scenario, const Deployment& plan) {
  return scenario.communication.all_reduce == AllReduceAlgorithm::automatic ? plan.curves.get() : nullptr;
}

PlacementTarget placement_target(const Scenario& scenario, const Layout& layout, int experts) {
  const LayoutSpec& spec = layout.spec;
  PlacementTarget target;
  target.ranks = spec.expert_ep;
  target.nodes =
      std::max(1, std::min(scenario.cluster.nodes, spec.expert_ep * spec.expert_tp / scenario.cluster.gpus_per_node));
  target.groups = scenario.model.moe->router.groups;
  target.slots = experts + scenario.placement.redundant;
  return target;
}

MemoryInputs memory_inputs(const Scenario& scenario, const Deployment& plan) {
  return {.model = scenario.model,
          .precision = scenario.precision,
          .layout = plan.layout,
          .gpu = scenario.cluster.gpu,
          .slots_per_rank = plan.placement.slots_per_rank,
          .memory_fraction = scenario.memory_fraction,
          .batch = largest_batch(scenario, plan.layout),
          .all_to_all = plan.all_to_all,
          .experts = mixed_experts(scenario, plan),
          .resident_slots = plan.resident.empty() ? -1 : scenario.experts.offload.resident,
          .extra_weights = extra_weight_bytes(scenario.extra_ops),
          .gpus_per_node = scenario.cluster.gpus_per_node};
}

}  // namespace moesim
