#include "models/hardware/cluster.hpp"

#include <algorithm>
#include <map>
#include <stdexcept>

#include <fmt/format.h>

#include "models/units/error.hpp"

namespace moesim {

std::string_view name_of(NodeLinks links) {
  switch (links) {
    case NodeLinks::nvswitch:
      return "nvswitch";
    case NodeLinks::mesh:
      return "mesh";
    case NodeLinks::pcie:
      return "pcie";
    case NodeLinks::none:
      return "none";
  }
  throw std::invalid_argument{"unknown NodeLinks"};
}

std::string_view name_of(FabricKind kind) {
  switch (kind) {
    case FabricKind::single_node:
      return "single_node";
    case FabricKind::rail_optimised:
      return "rail-optimised";
    case FabricKind::multi_rail:
      return "multi-rail";
    case FabricKind::rail_only:
      return "rail-only";
    case FabricKind::fat_tree:
      return "fat-tree";
    case FabricKind::dragonfly:
      return "dragonfly";
    case FabricKind::torus:
      return "torus";
    case FabricKind::graph:
      return "graph";
  }
  throw std::invalid_argument{"unknown FabricKind"};
}

std::string_view name_of(RailPolicy policy) {
  switch (policy) {
    case RailPolicy::forward:
      return "forward";
    case RailPolicy::pxn:
      return "pxn";
    case RailPolicy::spine:
      return "spine";
  }
  throw std::invalid_argument{"unknown RailPolicy"};
}

std::string_view name_of(SpreadPolicy policy) {
  switch (policy) {
    case SpreadPolicy::ecmp:
      return "ecmp";
    case SpreadPolicy::spray:
      return "spray";
  }
  throw std::invalid_argument{"unknown SpreadPolicy"};
}

int ClusterSpec::gpus() const {
  if (groups.empty()) return nodes * gpus_per_node;
  int sum = 0;
  for (const NodeGroup& group : groups) sum += group.count * group.gpus_per_node;
  return sum;
}

std::vector<NodeGroup> node_groups(const ClusterSpec& cluster) {
  if (!cluster.groups.empty()) return cluster.groups;
  return {{.gpu = cluster.gpu,
           .count = cluster.nodes,
           .gpus_per_node = cluster.gpus_per_node,
           .nics_per_node = cluster.nics_per_node,
           .nic = cluster.fabric.nic,
           .links = cluster.links.value_or(cluster.gpu.links),
           .shape = cluster.shape}};
}

const Gpu& gpu_of(const ClusterSpec& cluster, int rank) {
  if (rank < 0 || rank >= cluster.gpus())
    throw std::invalid_argument{fmt::format("GPU {} of {}", rank, cluster.gpus())};
  int first = 0;
  for (const NodeGroup& group : cluster.groups) {
    first += group.count * group.gpus_per_node;
    if (rank < first) return group.gpu;
  }
  return cluster.gpu;
}

namespace {

/// "n0g3" of "N0G3" or "node0 gpu3"; empty when there is no such GPU. Of numbers the nearest is no better guess than
/// any other.
std::string by_its_numbers(const std::string& name, const std::map<std::string, int>& gpus) {
  constexpr std::string_view kDigits = "0123456789";
  std::string meant;
  std::size_t at = name.find_first_of(kDigits);
  for (const char letter : {'n', 'g'}) {
    if (at == std::string::npos) return "";
    const std::size_t end = std::min(name.find_first_not_of(kDigits, at), name.size());
    meant += letter + name.substr(at, end - at);
    at = name.find_first_of(kDigits, end);
  }
  return at == std::string::npos && gpus.contains(meant) ? meant : "";
}

}  // namespace

std::vector<double> gpu_speeds(const ClusterSpec& cluster) {
  if (cluster.slow_gpus.empty()) return {};
  std::map<std::string, int> index;
  int node = 0;
  for (const NodeGroup& group : node_groups(cluster))
    for (int i = 0; i < group.count; ++i, ++node)
      for (int gpu = 0; gpu < group.gpus_per_node; ++gpu)
        index.emplace(fmt::format("n{}g{}", node, gpu), static_cast<int>(index.size()));
  std::vector<double> speeds(index.size(), 0.0);  // 0: not slow
  for (const GpuFactor& slow : cluster.slow_gpus) {
    const auto found = index.find(slow.name);
    if (found == index.end())
      throw InputError{
          slow.where, slow.name,
          fmt::format("a GPU of this cluster: n0g0 to n{}g{}", node - 1, node_groups(cluster).back().gpus_per_node - 1),
          by_its_numbers(slow.name, index)};
    double& speed = speeds[static_cast<std::size_t>(found->second)];
    if (speed > 0) throw InputError{slow.where, fmt::format("{} twice", slow.name), "every slow GPU once"};
    if (!(slow.factor > 0 && slow.factor <= 1))
      throw InputError{slow.where, fmt::format("the factor {}", slow.factor), "above 0 and at most 1"};
    speed = slow.factor;
  }
  for (double& speed : speeds)
    if (speed == 0) speed = 1;
  return speeds;
}

bool has_equal_nodes(const ClusterSpec& cluster) {
  return std::all_of(cluster.groups.begin(), cluster.groups.end(), [&](const NodeGroup& group) {
    return group.gpu.name == cluster.groups.front().gpu.name &&
           group.gpus_per_node == cluster.groups.front().gpus_per_node;
  });
}

void check_served(const ClusterSpec& cluster) {
  for (const NodeGroup& group : cluster.groups) {
    const NodeGroup& first = cluster.groups.front();
    if (group.gpu.name != first.gpu.name)
      throw NotModelledYet{"cluster.nodes", fmt::format("a run on {} beside {}", group.gpu.name, first.gpu.name),
                           "nodes of one GPU (their NICs and links may differ); moesim topo shows the mixed cluster"};
    if (group.gpus_per_node != first.gpus_per_node)
      throw NotModelledYet{
          "cluster.nodes",
          fmt::format("a run on nodes of {} beside nodes of {} GPUs", group.gpus_per_node, first.gpus_per_node),
          "nodes with equally many GPUs; moesim topo shows the mixed cluster"};
  }
}

}  // namespace moesim
