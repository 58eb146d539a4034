#include "sim/serving/token_exchange.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "models/units/error.hpp"

namespace moesim {
namespace {

/// Nodes of one NVLink domain that is wider than a board (NVL72), where the one-sided kernels were measured and
/// DeepEP's were not.
constexpr int kBoardGpus = 8;

/// Tokens per rank that low latency is meant for. Source: DeepEP's README (a decoding engine's batch should stay below
/// it) and vLLM's default chunk; SGLang's buffer holds 128 unless told otherwise, and its large deployments say 256.
constexpr double kLowLatencyTokens = 256;
/// More than its counters of arrivals can tell apart. Source: FINISHED_SUM_TAG in DeepEP's low-latency kernels, the
/// most that SGLang allows its buffer.
constexpr double kMostLowLatencyTokens = 1024;

bool has_nvlink(const ClusterSpec& cluster) {
  return cluster.gpu.nvlink.value() > 0 && node_groups(cluster).front().links != NodeLinks::pcie;
}

/// Tokens that the fullest rank sends into one dispatch.
double tokens_per_dispatch(const Scenario& scenario, const Layout& layout) {
  const double of_group = tokens_of_dp_rank(scenario.workload, layout.spec) * scenario.workload.dp_imbalance;
  const int ranks = layout.spreads_tokens() ? layout.spec.attention_tp : 1;
  return std::ceil(of_group / ranks / (scenario.overlap_two_batch ? 2 : 1));
}

AllToAll best_all_to_all(const Scenario& scenario, const Layout& layout, std::vector<std::string>& notes) {
  const auto because = [&](AllToAll taken, const std::string& reason) {
    notes.push_back(fmt::format("communication.all_to_all auto: {}, as {}", name_of(taken), reason));
    return taken;
  };
  const ClusterSpec& cluster = scenario.cluster;
  const CopyRule copies = scenario.communication.copies.value_or(CopyRule::per_rank);
  const int ranks = layout.dispatching_gpus();
  if (!has_nvlink(cluster) && copies != CopyRule::per_node)
    return because(AllToAll::pairwise, "DeepEP's kernels need NVLink inside the nodes");
  if (ranks > kBoardGpus && ranks <= cluster.gpus_per_node && copies == CopyRule::per_rank)
    return because(AllToAll::one_sided, fmt::format("all {} ranks share one NVLink domain", ranks));
  if (scenario.workload.phase == Phase::prefill) return AllToAll::deepep_normal;
  const double tokens = tokens_per_dispatch(scenario, layout);
  if (tokens <= kLowLatencyTokens) return AllToAll::deepep_low_latency;
  return because(AllToAll::deepep_normal, fmt::format("{:.0f} tokens per rank are more than the {:.0f} that low "
                                                      "latency is meant for",
                                                      tokens, kLowLatencyTokens));
}

AllToAll choose_all_to_all(const Scenario& scenario, const Layout& layout, std::map<std::string, std::string>& chosen,
                           std::vector<std::string>& notes) {
  if (scenario.communication.all_to_all != AllToAll::automatic) return scenario.communication.all_to_all;
  const AllToAll all_to_all = best_all_to_all(scenario, layout, notes);
  chosen["communication.all_to_all"] = name_of(all_to_all);
  return all_to_all;
}

/// What an all-to-all cannot do with this cluster, these copies or so many tokens.
void check_all_to_all(const Scenario& scenario, const Layout& layout, AllToAll all_to_all) {
  const auto refuse = [](const char* key, const std::string& found, const char* expected) {
    throw InputError{key, found, expected};
  };
  const double tokens = tokens_per_dispatch(scenario, layout);
  if (all_to_all == AllToAll::deepep_low_latency && tokens > kMostLowLatencyTokens)
    refuse("communication.all_to_all", fmt::format("deepep_low_latency with {:.0f} tokens per rank", tokens),
           "at most 1024, as many as its kernels can count; or auto, deepep_normal");
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

/// Every rail has a relay in every node then.
bool over_whole_nodes(const Scenario& scenario, const Layout& layout) {
  const int ranks = layout.dispatching_gpus(), node = scenario.cluster.gpus_per_node;
  return ranks > node && ranks % node == 0;
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
    rule = over_whole_nodes(scenario, layout) && layout.spec.expert_tp == 1 ? CopyRule::per_node : CopyRule::per_rank;
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
                              std::map<std::string, std::string>& chosen, std::vector<std::string>& notes) {
  const AllToAll all_to_all = choose_all_to_all(scenario, layout, chosen, notes);
  check_all_to_all(scenario, layout, all_to_all);
  const auto [dispatch, combine] = kernels_of(all_to_all, scenario.cluster, layout.dispatching_gpus());
  return {all_to_all, choose_copies(scenario, layout, all_to_all, chosen), dispatch, combine};
}

}  // namespace moesim
