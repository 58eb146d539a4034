#include "models/placement/eplb.hpp"

#include <cassert>
#include <numeric>
#include <queue>

#include "models/placement/packing.hpp"

namespace moesim {
namespace {

struct LoadPerCopy {
  double load;
  int expert;
  /// Order of a max-heap whose top is the highest load, the first expert of equals.
  bool operator<(const LoadPerCopy& other) const {
    return load < other.load || (load == other.load && expert > other.expert);
  }
};

std::vector<int> copies_of(std::span<const int> expert_of_copy, int experts) {
  std::vector<int> copies(experts, 0);
  for (int expert : expert_of_copy) ++copies[expert];
  return copies;
}

/// The experts of each node, groups in the order in which the packing took them. [nodes][experts / nodes]
std::vector<std::vector<int>> experts_of_nodes(std::span<const double> loads, int groups, int nodes) {
  const int experts = static_cast<int>(loads.size());
  const int group_size = experts / groups;
  std::vector<double> group_load(groups);
  for (int group = 0; group < groups; ++group) {
    const auto members = loads.subspan(static_cast<std::size_t>(group) * group_size, group_size);
    group_load[group] = std::accumulate(members.begin(), members.end(), 0.0);
  }
  std::vector<std::vector<int>> nodes_experts(nodes, std::vector<int>(experts / nodes));
  const std::vector<PackedItem> packed = pack_evenly(group_load, nodes);
  for (int group = 0; group < groups; ++group)
    for (int i = 0; i < group_size; ++i)
      nodes_experts[packed[group].bin][packed[group].position * group_size + i] = group * group_size + i;
  return nodes_experts;
}

/// Fill the slots of one node's ranks. slot_expert [slots of the node]
void fill_node(std::span<const double> loads, std::span<const int> node_experts, int ranks,
               std::span<int> slot_expert) {
  std::vector<double> load;
  for (int expert : node_experts) load.push_back(loads[expert]);
  const std::vector<int> local = replicate(load, static_cast<int>(slot_expert.size()));
  const std::vector<int> copies = copies_of(local, static_cast<int>(load.size()));

  std::vector<double> copy_load;
  for (int expert : local) copy_load.push_back(load[expert] / copies[expert]);
  const int slots_per_rank = static_cast<int>(slot_expert.size()) / ranks;
  const std::vector<PackedItem> packed = pack_evenly(copy_load, ranks);
  for (std::size_t copy = 0; copy < local.size(); ++copy)
    slot_expert[packed[copy].bin * slots_per_rank + packed[copy].position] = node_experts[local[copy]];
}

}  // namespace

std::vector<int> replicate(std::span<const double> loads, int slots) {
  const int experts = static_cast<int>(loads.size());
  assert(slots >= experts);
  std::vector<int> expert_of_copy(experts);
  std::iota(expert_of_copy.begin(), expert_of_copy.end(), 0);
  std::vector<int> copies(experts, 1);
  std::priority_queue<LoadPerCopy> hottest;
  for (int expert = 0; expert < experts; ++expert) hottest.push({loads[expert], expert});
  for (int slot = experts; slot < slots; ++slot) {
    const int expert = hottest.top().expert;
    hottest.pop();
    expert_of_copy.push_back(expert);
    hottest.push({loads[expert] / ++copies[expert], expert});
  }
  return expert_of_copy;
}

std::vector<int> balance_hierarchically(std::span<const double> loads, int slots, int groups, int nodes, int ranks) {
  assert(static_cast<int>(loads.size()) % groups == 0 && groups % nodes == 0);
  assert(ranks % nodes == 0 && slots % ranks == 0);
  std::vector<int> slot_expert(slots);
  const auto nodes_experts = experts_of_nodes(loads, groups, nodes);
  const std::size_t node_slots = static_cast<std::size_t>(slots / nodes);
  for (int node = 0; node < nodes; ++node)
    fill_node(loads, nodes_experts[node], ranks / nodes, std::span{slot_expert}.subspan(node * node_slots, node_slots));
  return slot_expert;
}

}  // namespace moesim
