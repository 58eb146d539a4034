#pragma once
// A scenario made concrete: the cluster built, the ranks numbered, the experts placed, every `auto` decided.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "models/collectives/measured_curves.hpp"
#include "models/deployment/deployment.hpp"
#include "models/kernels/kernel_times.hpp"
#include "sim/scenario/scenario.hpp"

namespace moesim {

struct Deployment {
  Topology topology;
  Layout layout;
  std::vector<Topology> stages{};  ///< the cluster as the GPUs of each pipeline stage, or of each pool, see it
  ExpertPopularity popularity{};   ///< no layers for a dense model
  Placement placement{};           ///< no layers for a dense model; one slot per expert where every rank holds all
  std::optional<ExpertFormats> formats{};  ///< none for a dense model
  std::vector<bool> resident{};  ///< [layers * slots] of offloaded experts: kept on the GPU; empty: none is offloaded
  MemoryFit memory{};
  std::unique_ptr<KernelTimes> kernels{};
  std::string kernel_profile{};                 ///< "h100-sxm (trtllm 1.3.0rc10)", empty for the roofline
  std::unique_ptr<CollectiveCurves> curves{};   ///< of that profile, for this GPU; nothing: the network model alone
  std::vector<double> speeds{};                 ///< [GPUs of the cluster] as gpu_speeds() says; empty: none is slow
  Bytes dispatch_payload{}, combine_payload{};  ///< of one token copy
  CollectiveParameters dispatch{}, combine{};   ///< of the all-to-all's kernels on this GPU
  AllToAll all_to_all = AllToAll::automatic;
  CopyRule copies = CopyRule::per_expert;
  std::vector<AllReduceAlgorithm> all_reduce{};  ///< [stages] over attention TP; empty where nothing is summed so
  Sampler sampler = Sampler::token;
  std::map<std::string, std::string> chosen{};  ///< key path -> what its `auto` took
  std::vector<std::string> notes{};
};

/// Throws InputError for combinations that contradict each other, NotModelledYet, and never Infeasible: the caller
/// reads `memory`.
Deployment plan_deployment(const Scenario& scenario);

/// The curves for an all-reduce: none where the scenario asks for an algorithm, since no curve says which one it took.
const CollectiveCurves* all_reduce_curves(const Scenario& scenario, const Deployment& plan);

/// What placement spreads the experts over.
PlacementTarget placement_target(const Scenario& scenario, const Layout& layout, int experts);

/// What the memory fit of a plan was computed from (for remedies).
MemoryInputs memory_inputs(const Scenario& scenario, const Deployment& plan);

}  // namespace moesim
