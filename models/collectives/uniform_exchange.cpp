#include "models/collectives/uniform_exchange.hpp"

#include <algorithm>
#include <numeric>

namespace moesim {
namespace {

ClusterSpec cluster_of(const Gpu& gpu, int ranks, int gpus_per_node) {
  ClusterSpec cluster;
  cluster.gpu = gpu;
  cluster.nodes = (ranks + gpus_per_node - 1) / gpus_per_node;
  cluster.gpus_per_node = gpus_per_node;
  cluster.fabric.kind = cluster.nodes > 1 ? FabricKind::rail_optimised : FabricKind::single_node;
  cluster.fabric.nic = gpu.nic;
  cluster.fabric.switch_ports = 64;
  cluster.rails = RailPolicy::forward;
  cluster.spread = SpreadPolicy::spray;
  return cluster;
}

std::vector<int> first_gpus(int count) {
  std::vector<int> group(static_cast<std::size_t>(count));
  std::iota(group.begin(), group.end(), 0);
  return group;
}

}  // namespace

double distinct_parts(int parts, int experts, int top_k) {
  double none = 1;
  for (int i = 0; i < top_k; ++i)
    none *= std::max(0.0, experts - static_cast<double>(experts) / parts - i) / (experts - i);
  return parts * (1 - none);
}

UniformExchange::UniformExchange(const Gpu& gpu, int ranks, int gpus_per_node)
    : gpu_{gpu}, ranks_{ranks}, topology_{cluster_of(gpu, ranks, gpus_per_node)} {}

Seconds UniformExchange::time_of(CopyRule rule, const CollectiveParameters& parameters, Bytes into_rank,
                                 Bytes into_node) const {
  const std::vector<double> share(static_cast<std::size_t>(ranks_), 1.0 / ranks_);
  const std::vector<double> ranks(share.size(), into_rank.value());
  std::vector<double> nodes;
  if (rule == CopyRule::per_node) nodes.assign(static_cast<std::size_t>(topology_.nodes()), into_node.value());
  std::vector<double> bytes(topology_.links().size());
  ExpectedLinkBytes{topology_, share, rule}.dispatch(ranks, nodes, bytes);
  return fluid_time(bytes, topology_, parameters).time;
}

Seconds UniformExchange::time(CopyRule rule, const CollectiveParameters& parameters,
                              const UniformTokens& tokens) const {
  const auto distinct = [&](int parts) { return distinct_parts(parts, tokens.experts, tokens.top_k); };
  const double copies = rule == CopyRule::per_expert ? tokens.top_k : distinct(ranks_);
  const int nodes = topology_.nodes();
  return time_of(rule, parameters.of_group(crosses_nics()), tokens.per_rank * copies * tokens.payload,
                 tokens.per_rank * ranks_ * distinct(nodes) / nodes * tokens.payload);
}

Seconds UniformExchange::pairwise(Bytes message) const {
  const int across = ranks_ - std::min(ranks_, topology_.gpus_per_node());
  return time_of(CopyRule::per_expert, gpu_.all_to_all.of_group(crosses_nics(), across), message, {});
}

Seconds UniformExchange::all_reduce(Bytes message) const {
  return moesim::all_reduce(topology_, first_gpus(ranks_), message, AllReduceAlgorithm::ring, gpu_.all_reduce).time;
}

Seconds UniformExchange::all_gather(Bytes gathered) const {
  return moesim::all_gather(topology_, first_gpus(ranks_), gathered, gpu_.all_gather).time;
}

}  // namespace moesim
