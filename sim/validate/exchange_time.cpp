#include "sim/validate/exchange_time.hpp"

#include <algorithm>
#include <numeric>

#include "models/traffic/traffic.hpp"

namespace moesim {
namespace {

/// Distinct parts of `parts` equal ones that top_k distinct experts hit, uniformly: parts (1 - C(E - E/parts, k) / C(E,
/// k)) (domain notes, L4).
double distinct_parts(int parts, int experts, int top_k) {
  double none = 1;
  for (int i = 0; i < top_k; ++i)
    none *= std::max(0.0, experts - static_cast<double>(experts) / parts - i) / (experts - i);
  return parts * (1 - none);
}

Topology topology_of(const Gpu& gpu, int ranks, int gpus_per_node) {
  ClusterSpec cluster;
  cluster.gpu = gpu;
  cluster.nodes = (ranks + gpus_per_node - 1) / gpus_per_node;
  cluster.gpus_per_node = gpus_per_node;
  cluster.fabric.kind = cluster.nodes > 1 ? FabricKind::rail_optimised : FabricKind::single_node;
  cluster.fabric.nic = gpu.nic;
  cluster.fabric.switch_ports = 64;
  cluster.rails = RailPolicy::forward;
  cluster.spread = SpreadPolicy::spray;
  return Topology{cluster};
}

CopyRule copy_rule(const RowExchange& exchange) {
  if (exchange.kernel == ExchangeKernel::low_latency) return CopyRule::per_expert;
  const bool across = exchange.kernel == ExchangeKernel::normal && exchange.ranks > exchange.gpus_per_node;
  return across ? CopyRule::per_node : CopyRule::per_rank;
}

const CollectiveParameters& parameters_of(const Gpu& gpu, const RowExchange& exchange) {
  const bool out = exchange.direction == Direction::dispatch;
  switch (exchange.kernel) {
    case ExchangeKernel::normal:
      return out ? gpu.dispatch_normal : gpu.combine_normal;
    case ExchangeKernel::one_sided:
      return out ? gpu.dispatch_one_sided : gpu.combine_one_sided;
    default:
      return out ? gpu.dispatch : gpu.combine;
  }
}

/// "published" of "published: least squares ...", "transferred" of "transferred from h100-sxm ...".
std::string source_of(const CollectiveParameters& parameters) {
  const std::string first = parameters.source.substr(0, parameters.source.find_first_of(" :"));
  return first.empty() ? "catalogue" : first;
}

Seconds uniform_time(const Topology& topology, int ranks, CopyRule rule, const CollectiveParameters& parameters,
                     Bytes into_rank, Bytes into_node) {
  const std::vector<double> share(static_cast<std::size_t>(ranks), 1.0 / ranks);
  const std::vector<double> into_ranks(share.size(), into_rank.value());
  std::vector<double> into_nodes;
  if (rule == CopyRule::per_node) into_nodes.assign(static_cast<std::size_t>(topology.nodes()), into_node.value());
  std::vector<double> bytes(topology.links().size());
  ExpectedLinkBytes{topology, share, rule}.dispatch(into_ranks, into_nodes, bytes);
  return fluid_time(bytes, topology, parameters).time;
}

}  // namespace

double logical_copies(const RowExchange& exchange) {
  const bool one_node = exchange.ranks <= exchange.gpus_per_node;
  const int parts = one_node ? exchange.ranks : (exchange.ranks + exchange.gpus_per_node - 1) / exchange.gpus_per_node;
  return distinct_parts(parts, exchange.experts, exchange.top_k);
}

SourcedTime exchange_time(const RowExchange& exchange) {
  const Gpu gpu = find_gpu(exchange.gpu, "case");
  const Topology topology = topology_of(gpu, exchange.ranks, exchange.gpus_per_node);
  const CopyRule rule = copy_rule(exchange);
  const CollectiveParameters& parameters = parameters_of(gpu, exchange);
  const auto distinct = [&](int parts) { return distinct_parts(parts, exchange.experts, exchange.top_k); };
  const Bytes payload = vector_bytes_of(exchange.hidden, exchange.payload);
  const double copies = rule == CopyRule::per_expert ? exchange.top_k : distinct(exchange.ranks);
  const int nodes = topology.nodes();
  return {
      uniform_time(topology, exchange.ranks, rule, parameters.of_group(nodes > 1), exchange.tokens * copies * payload,
                   exchange.tokens * exchange.ranks * distinct(nodes) / nodes * payload),
      source_of(parameters)};
}

SourcedTime collective_time(const VendorCollective& collective) {
  const Gpu gpu = find_gpu(collective.gpu, "case");
  const Topology topology = topology_of(gpu, collective.ranks, gpu.gpus_per_node);
  std::vector<int> group(static_cast<std::size_t>(collective.ranks));
  std::iota(group.begin(), group.end(), 0);
  switch (collective.operation) {
    case VendorOperation::all_reduce:  // the library has no one-shot kernel; its ring and NVLS come to about the same
      return {all_reduce(topology, group, collective.message, AllReduceAlgorithm::ring, gpu.all_reduce).time,
              source_of(gpu.all_reduce)};
    case VendorOperation::all_gather:
    case VendorOperation::reduce_scatter:  // runs alike, backwards
      return {all_gather(topology, group, collective.message, gpu.all_gather).time, source_of(gpu.all_gather)};
    default:
      break;
  }
  const int across = collective.ranks - std::min(collective.ranks, gpu.gpus_per_node);
  return {uniform_time(topology, collective.ranks, CopyRule::per_expert,
                       gpu.all_to_all.of_group(topology.nodes() > 1, across), collective.message, {}),
          source_of(gpu.all_to_all)};
}

std::optional<VendorOperation> vendor_operation(std::string_view name) {
  if (name == "all_reduce") return VendorOperation::all_reduce;
  if (name == "all_gather") return VendorOperation::all_gather;
  if (name == "reduce_scatter") return VendorOperation::reduce_scatter;
  if (name == "alltoall" || name == "all_to_all") return VendorOperation::all_to_all;
  return std::nullopt;
}

}  // namespace moesim
