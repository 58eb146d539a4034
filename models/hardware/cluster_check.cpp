#include <cmath>

#include <fmt/format.h>

#include "models/hardware/cluster_graph.hpp"
#include "models/hardware/network_parts.hpp"
#include "models/units/error.hpp"
#include "models/units/text.hpp"

namespace moesim {
namespace {

void require(bool condition, const std::string& where, const std::string& found, const std::string& expected) {
  if (!condition) throw InputError{where, found, expected};
}

void require_count(int value, const char* where, int least) {
  require(value >= least, where, fmt::format("{}", value), fmt::format("at least {}", least));
}

bool is_bandwidth(BytesPerSecond bandwidth) {
  return bandwidth >= kLeastBandwidth && bandwidth <= kMostBandwidth;  // NaN is not
}

void check_group(const NodeGroup& group, bool fabric) {
  require_count(group.count, "cluster.nodes", 1);
  require_count(group.gpus_per_node, "cluster.gpus_per_node", 1);
  require(group.nics_per_node >= 0, "cluster.nics_per_node", fmt::format("{}", group.nics_per_node), "at least 1");
  if (group.links != NodeLinks::pcie && group.links != NodeLinks::none && group.gpus_per_node > 1 && !group.shape)
    require(is_bandwidth(group.gpu.nvlink), "cluster.gpu.nvlink", fmt::format("{} B/s", group.gpu.nvlink.value()),
            bandwidth_range() + ", as a node has several GPUs");
  if (fabric && !group.shape)
    require(is_bandwidth(group.nic), "cluster.fabric.nic", fmt::format("{} B/s", group.nic.value()),
            bandwidth_range() + ", as there are several nodes");
}

void check_size(const ClusterSpec& cluster) {
  long long gpus = 0;
  for (const NodeGroup& group : node_groups(cluster)) gpus += static_cast<long long>(group.count) * group.gpus_per_node;
  if (gpus > kMostRoutedGpus)
    throw NotModelledYet{"cluster.nodes",
                         cluster.groups.empty()
                             ? fmt::format("a cluster of {} x {} GPUs", cluster.nodes, cluster.gpus_per_node)
                             : fmt::format("a cluster of {} GPUs", gpus),
                         fmt::format("at most {} GPUs, as the routes of all pairs are held", kMostRoutedGpus)};
  if (cluster.fabric.kind == FabricKind::graph && gpus > kMostGraphGpus)
    throw NotModelledYet{"cluster.nodes", fmt::format("a custom graph of {} GPUs", gpus),
                         fmt::format("at most {} GPUs, or one of the fabrics with a plan", kMostGraphGpus)};
}

void check_switch(const FabricSpec& fabric) {
  if (fabric.switch_name.empty()) return;
  const SwitchPart part = find_switch(fabric.switch_name, "cluster.fabric.switch");
  if (fabric.nic > part.port)
    throw InputError{"cluster.fabric.nic", to_text(fabric.nic),
                     fmt::format("at most {}, the port of switch {}", to_text(part.port), part.name)};
}

void check_fabric_numbers(const FabricSpec& fabric) {
  require_count(fabric.switch_ports, "cluster.fabric.switch_ports", 2);
  require(std::isfinite(fabric.oversubscription) && fabric.oversubscription >= 1, "cluster.fabric.oversubscription",
          fmt::format("{}", fabric.oversubscription), "at least 1");
  require(fabric.rails >= 0, "cluster.fabric.rails", fmt::format("{}", fabric.rails), "at least 1");
  require_count(fabric.planes, "cluster.fabric.planes", 1);
  require(fabric.tiers == 2 || fabric.tiers == 3, "cluster.fabric.tiers", fmt::format("{}", fabric.tiers), "2 or 3");
  require(fabric.link.value() == 0 || is_bandwidth(fabric.link), "cluster.fabric.link",
          fmt::format("{} B/s", fabric.link.value()), bandwidth_range());
}

bool spreads(FabricKind kind) {
  return kind != FabricKind::dragonfly && kind != FabricKind::torus && kind != FabricKind::graph;
}

void check_policies(const ClusterSpec& cluster) {
  const FabricSpec& fabric = cluster.fabric;
  const bool apart =
      fabric.kind == FabricKind::rail_only || (fabric.kind == FabricKind::multi_rail && fabric.planes > 1);
  if (apart && cluster.rails == RailPolicy::spine)
    throw InputError{"communication.rails", fmt::format("spine with fabric {}", name_of(fabric.kind)),
                     "forward or pxn: no spine joins these rails"};
  if (!spreads(fabric.kind) && cluster.spread == SpreadPolicy::spray)
    throw NotModelledYet{"communication.spread", fmt::format("spray on a {} fabric", name_of(fabric.kind)), "ecmp"};
}

}  // namespace

void check_cluster(const ClusterSpec& cluster) {
  require_count(cluster.nodes, "cluster.nodes", 1);
  require_count(cluster.gpus_per_pcie_switch, "cluster.gpus_per_pcie_switch", 1);
  const bool graph = cluster.fabric.kind == FabricKind::graph;
  for (const NodeGroup& group : node_groups(cluster)) {
    check_group(group, cluster.nodes > 1 && !graph);
    require(group.links != NodeLinks::none || graph || group.gpus_per_node == 1 || group.shape, "cluster.node_links",
            "none", "how the GPUs of a node are joined, or cluster.fabric.kind graph");
  }
  check_size(cluster);
  gpu_speeds(cluster);  // refuses what is not there
  if (cluster.nodes == 1) return check_policies(cluster);
  require(cluster.fabric.kind != FabricKind::single_node, "cluster.fabric.kind",
          fmt::format("single_node for {} nodes", cluster.nodes), "rail-optimised");
  check_fabric_numbers(cluster.fabric);
  check_policies(cluster);
  check_switch(cluster.fabric);
}

}  // namespace moesim
