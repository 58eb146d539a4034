#include <algorithm>
#include <stdexcept>

#include <fmt/format.h>

#include "models/traffic/group_fit.hpp"
#include "models/traffic/traffic.hpp"
#include "models/units/error.hpp"
#include "models/units/random.hpp"

namespace moesim {
namespace {

/// The slots of every expert of one layer.
class ReplicaTable {
public:
  explicit ReplicaTable(std::span<const int> expert_of, int experts)
      : first_(static_cast<std::size_t>(experts) + 1, 0) {
    for (int expert : expert_of)
      if (expert >= 0) ++first_.at(static_cast<std::size_t>(expert) + 1);
    for (std::size_t e = 1; e < first_.size(); ++e) first_[e] += first_[e - 1];
    slot_.resize(static_cast<std::size_t>(first_.back()));
    std::vector<int> next(first_.begin(), first_.end() - 1);
    for (std::size_t slot = 0; slot < expert_of.size(); ++slot)
      if (expert_of[slot] >= 0)
        slot_[static_cast<std::size_t>(next[static_cast<std::size_t>(expert_of[slot])]++)] = static_cast<int>(slot);
  }

  std::span<const int> of(int expert) const {
    const auto begin = first_[static_cast<std::size_t>(expert)], end = first_[static_cast<std::size_t>(expert) + 1];
    return std::span{slot_}.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
  }

private:
  std::vector<int> first_, slot_;
};

/// Walks the tokens of one dispatch and books their copies.
class DispatchCounter {
public:
  DispatchCounter(const Placement& placement, int layer, CopyRule rule, ReplicaChoice replicas, Bytes payload_per_copy,
                  const Topology& topology, std::uint64_t seed, int expert_tp, int first_expert_gpu)
      : placement_{placement},
        layer_{layer},
        rule_{rule},
        replica_choice_{replicas},
        payload_{payload_per_copy.value()},
        topology_{topology},
        seed_{seed},
        expert_tp_{expert_tp},
        first_expert_gpu_{first_expert_gpu},
        slots_of_{placement.layer(layer), placement.experts},
        traffic_{TrafficMatrix{first_expert_gpu + placement.ranks * expert_tp},
                 TrafficMatrix{first_expert_gpu + placement.ranks * expert_tp},
                 TrafficMatrix{first_expert_gpu + placement.ranks * expert_tp},
                 std::vector<std::int32_t>(static_cast<std::size_t>(placement.slots()), 0), 0} {}

  void add_token(std::uint32_t token, int source, std::span<const int> experts) {
    ranks_.clear();
    for (int expert : experts) {
      if (expert == -1) continue;
      const int slot = choose_slot(token, source, expert);
      ++traffic_.rows_per_slot[static_cast<std::size_t>(slot)];
      const int rank = slot / placement_.slots_per_rank;
      if (rule_ == CopyRule::per_expert || std::find(ranks_.begin(), ranks_.end(), rank) == ranks_.end())
        ranks_.push_back(rank);
    }
    if (rule_ == CopyRule::per_node)
      add_per_node(source);
    else
      add_direct(source);
  }

  DispatchTraffic take() { return std::move(traffic_); }

private:
  void add_direct(int source) {
    for (int rank : ranks_) traffic_.direct.at(source, gpu_of(rank, source)) += payload_;
    traffic_.copies += static_cast<double>(ranks_.size());
  }

  /// The GPU of a placement rank that takes tokens of this source.
  int gpu_of(int rank, int source) const { return first_expert_gpu_ + rank * expert_tp_ + source % expert_tp_; }

  /// Once to each distinct node, on the sender's rail, then over NVLink to each distinct rank there.
  void add_per_node(int source) {
    nodes_.clear();
    const int home = topology_.node_of(source);
    for (int rank : ranks_) {
      const int gpu = gpu_of(rank, source), node = topology_.node_of(gpu);
      const bool first_in_node = std::find(nodes_.begin(), nodes_.end(), node) == nodes_.end();
      if (first_in_node) nodes_.push_back(node);
      if (node == home) {
        traffic_.direct.at(source, gpu) += payload_;
        continue;
      }
      const int relay = node * topology_.gpus_per_node() + topology_.rail_of(source);
      if (first_in_node) traffic_.to_node.at(source, relay) += payload_;
      traffic_.forwarded.at(relay, gpu) += payload_;
    }
    traffic_.copies += static_cast<double>(nodes_.size());
  }

  int choose_slot(std::uint32_t token, int source, int expert) {
    if (expert < 0 || expert >= placement_.experts)
      throw std::invalid_argument{fmt::format("token {} chose expert {} of {}", token, expert, placement_.experts)};
    const auto slots = slots_of_.of(expert);
    if (slots.empty())
      throw InputError{"placement", fmt::format("no slot for expert {} in layer {}", expert, layer_),
                       "a slot for every expert that tokens choose"};
    if (slots.size() == 1) return slots[0];
    if (replica_choice_ == ReplicaChoice::uniform_random) return pick(token, expert, slots);

    const auto nearest_where = [&](auto near) {
      near_.clear();
      for (int slot : slots)
        if (near(gpu_of(slot / placement_.slots_per_rank, source))) near_.push_back(slot);
      return !near_.empty();
    };
    const int home = topology_.node_of(source);
    if (nearest_where([&](int gpu) { return gpu == source; }) ||
        nearest_where([&](int gpu) { return topology_.node_of(gpu) == home; }))
      return pick(token, expert, near_);
    return pick(token, expert, slots);
  }

  /// A copy by a hash of the token, so that neither the order of tokens nor other draws matter.
  int pick(std::uint32_t token, int expert, std::span<const int> slots) const {
    if (slots.size() == 1) return slots[0];
    Random random{seed_, Purpose::replica, token, static_cast<std::uint32_t>(layer_),
                  static_cast<std::uint32_t>(expert)};
    return slots[random.below(static_cast<std::uint32_t>(slots.size()))];
  }

  const Placement& placement_;
  int layer_;
  CopyRule rule_;
  ReplicaChoice replica_choice_;
  double payload_;
  const Topology& topology_;
  std::uint64_t seed_;
  int expert_tp_, first_expert_gpu_;
  ReplicaTable slots_of_;
  DispatchTraffic traffic_;
  std::vector<int> ranks_, nodes_, near_;  // of the current token, kept to save allocations
};

}  // namespace

void check_group_fits(const Topology& topology, int ranks, CopyRule rule, int expert_tp) {
  if (rule == CopyRule::per_node && expert_tp > 1)
    throw NotModelledYet{"communication.copies", fmt::format("per_node with experts tp {}", expert_tp),
                         "per_rank, which sends once to each expert TP group"};
  if (ranks > topology.gpus())
    throw InputError{"layout.experts.ep", fmt::format("{} ranks", ranks),
                     fmt::format("at most the cluster's {} GPUs", topology.gpus())};
  if (rule == CopyRule::per_node && ranks > topology.gpus_per_node() && ranks % topology.gpus_per_node() != 0)
    throw InputError{"communication.copies",
                     fmt::format("per_node with {} ranks on nodes of {}", ranks, topology.gpus_per_node()),
                     "whole nodes, so that every rail has its relay; else per_rank"};
}

DispatchTraffic count_dispatch(std::span<const int> chosen, std::span<const int> source_of, int top_k,
                               const Placement& placement, int layer, CopyRule rule, ReplicaChoice replicas,
                               Bytes payload, const Topology& topology, std::uint64_t seed, int expert_tp,
                               int first_expert_gpu) {
  if (top_k < 1 || chosen.size() != source_of.size() * static_cast<std::size_t>(top_k))
    throw std::invalid_argument{
        fmt::format("{} choices for {} tokens of {} experts each", chosen.size(), source_of.size(), top_k)};
  const int gpus = first_expert_gpu + placement.ranks * expert_tp;
  check_group_fits(topology, gpus, rule, expert_tp);

  DispatchCounter counter{placement, layer, rule, replicas, payload, topology, seed, expert_tp, first_expert_gpu};
  for (std::size_t token = 0; token < source_of.size(); ++token) {
    const int source = source_of[token];
    if (source < 0 || source >= gpus)
      throw std::invalid_argument{fmt::format("token {} lives on rank {} of {}", token, source, gpus)};
    counter.add_token(static_cast<std::uint32_t>(token), source,
                      chosen.subspan(token * static_cast<std::size_t>(top_k), static_cast<std::size_t>(top_k)));
  }
  return counter.take();
}

}  // namespace moesim
