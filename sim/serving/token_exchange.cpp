#include "sim/serving/token_exchange.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "models/units/error.hpp"

namespace moesim {
namespace {

/// Nodes of one NVLink domain that is wider than a board (NVL72), where the one-sided kernels were measured and
/// DeepEP's were not.
constexpr int kBoardGpus = 8;

AllToAll choose_all_to_all(const Scenario& scenario, const Layout& layout, std::map<std::string, std::string>& chosen) {
  if (scenario.communication.all_to_all != AllToAll::automatic) return scenario.communication.all_to_all;
  const bool rack = layout.dispatching_gpus() > kBoardGpus &&
                    layout.dispatching_gpus() <= scenario.cluster.gpus_per_node &&
                    scenario.cluster.gpu.nvlink.value() > 0 &&
                    scenario.communication.copies.value_or(CopyRule::per_rank) == CopyRule::per_rank;
  const AllToAll deepep =
      scenario.workload.phase == Phase::decode ? AllToAll::deepep_low_latency : AllToAll::deepep_normal;
  const AllToAll all_to_all = rack ? AllToAll::one_sided : deepep;
  chosen["communication.all_to_all"] = name_of(all_to_all);
  return all_to_all;
}

/// What an all-to-all cannot do with this cluster or these copies.
void check_all_to_all(const Scenario& scenario, const Layout& layout, AllToAll all_to_all) {
  const auto refuse = [](const char* key, const std::string& found, const char* expected) {
    throw InputError{key, found, expected};
  };
  const std::string name{name_of(all_to_all)};
  const int ranks = layout.dispatching_gpus();
  const bool one_node = ranks <= scenario.cluster.gpus_per_node;
  if (all_to_all == AllToAll::one_sided && !one_node)
    refuse("communication.all_to_all", fmt::format("one_sided with {} ranks", ranks),
           "all ranks in one node (one NVLink domain); or deepep_low_latency, pairwise");
  if (all_to_all == AllToAll::hierarchical && one_node)
    refuse("communication.all_to_all", fmt::format("hierarchical with {} ranks in one node", ranks),
           "several nodes; or pairwise");
  if (all_to_all == AllToAll::hierarchical && scenario.cluster.rails != RailPolicy::pxn)
    refuse("communication.rails", fmt::format("{} with all_to_all hierarchical", name_of(scenario.cluster.rails)),
           "pxn: NVLink first, then the receiver's rail");
  if (!scenario.communication.copies) return;
  const CopyRule copies = *scenario.communication.copies;
  if (all_to_all == AllToAll::one_sided && copies != CopyRule::per_rank)
    refuse("communication.copies", fmt::format("{} with all_to_all one_sided", name_of(copies)), "auto, per_rank");
  const bool library = all_to_all == AllToAll::pairwise || all_to_all == AllToAll::hierarchical;
  if (library && copies == CopyRule::per_node)
    refuse("communication.copies", fmt::format("per_node with all_to_all {}", name), "auto, per_expert, per_rank");
}

/// DeepEP's kernels: low latency sends every expert its own copy, normal mode one per rank, and one per node across
/// nodes (or per expert TP group, which is often a node). Engines give the vendor's library rows sorted by expert, one
/// per choice (Megatron's all-to-all dispatcher); one-sided kernels write one per rank.
CopyRule choose_copies(const Scenario& scenario, const Layout& layout, AllToAll all_to_all,
                       std::map<std::string, std::string>& chosen) {
  if (scenario.communication.copies) return *scenario.communication.copies;
  CopyRule rule = CopyRule::per_expert;
  if (all_to_all == AllToAll::one_sided) rule = CopyRule::per_rank;
  if (all_to_all == AllToAll::deepep_normal)
    rule = layout.ranks > scenario.cluster.gpus_per_node && layout.spec.expert_tp == 1 && !layout.spec.experts_apart
               ? CopyRule::per_node
               : CopyRule::per_rank;
  chosen["communication.copies"] = name_of(rule);
  return rule;
}

/// Parameters of dispatch and combine of a group on this GPU.
std::pair<CollectiveParameters, CollectiveParameters> kernels_of(AllToAll all_to_all, const ClusterSpec& cluster,
                                                                 int ranks) {
  const Gpu& gpu = cluster.gpu;
  const bool crosses_nics = ranks > cluster.gpus_per_node;
  const int peers_across = std::max(0, ranks - cluster.gpus_per_node);
  CollectiveParameters staged = gpu.all_to_all;
  staged.staged = true;
  staged.latency_inter += gpu.all_to_all.latency_intra;  // of the stage inside the nodes
  const int nodes_across = (ranks - 1) / cluster.gpus_per_node;
  switch (all_to_all) {
    case AllToAll::deepep_normal:
      return {gpu.dispatch_normal.of_group(crosses_nics), gpu.combine_normal.of_group(crosses_nics)};
    case AllToAll::one_sided:
      return {gpu.dispatch_one_sided, gpu.combine_one_sided};
    case AllToAll::pairwise:
      return {gpu.all_to_all.of_group(crosses_nics, peers_across), gpu.all_to_all.of_group(crosses_nics, peers_across)};
    case AllToAll::hierarchical:
      return {staged.of_group(crosses_nics, nodes_across), staged.of_group(crosses_nics, nodes_across)};
    default:
      return {gpu.dispatch.of_group(crosses_nics), gpu.combine.of_group(crosses_nics)};
  }
}

}  // namespace

TokenExchange choose_exchange(const Scenario& scenario, const Layout& layout,
                              std::map<std::string, std::string>& chosen) {
  const AllToAll all_to_all = choose_all_to_all(scenario, layout, chosen);
  check_all_to_all(scenario, layout, all_to_all);
  const auto [dispatch, combine] = kernels_of(all_to_all, scenario.cluster, layout.dispatching_gpus());
  return {all_to_all, choose_copies(scenario, layout, all_to_all, chosen), dispatch, combine};
}

}  // namespace moesim
