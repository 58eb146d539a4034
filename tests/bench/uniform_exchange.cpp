#include "tests/bench/uniform_exchange.hpp"

#include <algorithm>
#include <numeric>

namespace moesim::bench {
namespace {

ClusterSpec cluster_of(const Gpu& gpu, int nodes, int gpus_per_node) {
  ClusterSpec cluster;
  cluster.gpu = gpu;
  cluster.nodes = nodes;
  cluster.gpus_per_node = gpus_per_node;
  cluster.fabric.kind = nodes > 1 ? FabricKind::rail_optimised : FabricKind::single_node;
  cluster.fabric.nic = gpu.nic;
  cluster.fabric.switch_ports = 64;
  cluster.rails = RailPolicy::forward;
  cluster.spread = SpreadPolicy::spray;
  return cluster;
}

}  // namespace

double distinct_parts(int parts) {
  double none = 1;
  for (int i = 0; i < kTopK; ++i) none *= (kExperts - static_cast<double>(kExperts) / parts - i) / (kExperts - i);
  return parts * (1 - none);
}

UniformExchange::UniformExchange(const std::string& gpu, int ranks, int gpus_per_node)
    : gpu_{find_gpu(gpu, "case")},
      ranks_{ranks},
      topology_{cluster_of(gpu_, (ranks + gpus_per_node - 1) / gpus_per_node, gpus_per_node)} {}

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

Seconds UniformExchange::time(CopyRule rule, const CollectiveParameters& parameters, double tokens,
                              Bytes payload) const {
  const double copies = rule == CopyRule::per_expert ? kTopK : distinct_parts(ranks_);
  const int nodes = topology_.nodes();
  return time_of(rule, parameters.of_group(crosses_nics()), tokens * copies * payload,
                 tokens * ranks_ * distinct_parts(nodes) / nodes * payload);
}

Seconds UniformExchange::pairwise(Bytes message) const {
  const int across = ranks_ - std::min(ranks_, topology_.gpus_per_node());
  return time_of(CopyRule::per_expert, gpu_.all_to_all.of_group(crosses_nics(), across), message, {});
}

Seconds UniformExchange::all_reduce(Bytes message) const {
  std::vector<int> group(static_cast<std::size_t>(ranks_));
  std::iota(group.begin(), group.end(), 0);
  // The library has no one-shot kernel; at a full node its ring and NVLS come to the same (the catalogue's share).
  return moesim::all_reduce(topology_, group, message, AllReduceAlgorithm::ring, gpu_.all_reduce).time;
}

Seconds UniformExchange::all_gather(Bytes gathered) const {
  std::vector<int> group(static_cast<std::size_t>(ranks_));
  std::iota(group.begin(), group.end(), 0);
  return moesim::all_gather(topology_, group, gathered, gpu_.all_gather).time;
}

}  // namespace moesim::bench
