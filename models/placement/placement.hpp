#pragma once
// Which slot of which rank holds which expert (domain E).

#include <span>
#include <string>
#include <vector>

namespace moesim {

enum class PlacementPolicy { linear, round_robin, lpt, eplb, eplb_global, eplb_hierarchical, file };
std::string_view name_of(PlacementPolicy policy);
std::vector<std::string> placement_policy_names();

struct PlacementSpec {
  PlacementPolicy policy = PlacementPolicy::linear;
  int redundant = 0;   ///< physical slots beyond one per expert, over the whole EP group
  std::string file;    ///< layer,rank,experts (space separated), .csv or .csv.gz
};

/// Which copy of a replicated expert serves a token.
enum class ReplicaChoice { uniform_random, static_nearest };

/// Slot s of a layer sits on rank s / slots_per_rank. -1 marks an empty slot (files whose ranks hold different counts).
struct Placement {
  int layers = 0, experts = 0, ranks = 0, slots_per_rank = 0;
  std::vector<int> expert_of;  ///< [layers * ranks * slots_per_rank]

  int slots() const { return ranks * slots_per_rank; }
  std::span<const int> layer(int l) const { return {expert_of.data() + static_cast<std::size_t>(l) * slots(), static_cast<std::size_t>(slots())}; }
  std::vector<int> replicas(int l) const;  ///< [experts] copies of each expert in a layer
};

/// Where experts may go.
struct PlacementTarget {
  int ranks = 1;
  int nodes = 1;    ///< ranks / nodes consecutive ranks each
  int groups = 1;   ///< consecutive expert groups that hierarchical EPLB keeps on one node
  int slots = 0;    ///< physical slots over all ranks, >= experts and divisible by ranks
};

/// loads [layers * experts]: tokens each expert receives, any scale.
/// Throws InputError: slots that do not divide over the ranks, fewer slots than experts, replicas asked of a policy that makes none.
Placement place(const PlacementSpec& spec, const PlacementTarget& target, int layers, int experts, std::span<const double> loads);

/// Load of every rank of a layer when replicas share evenly: sum over its slots of load[e] / replicas[e].
std::vector<double> rank_loads(const Placement& placement, int layer, std::span<const double> expert_load);

}  // namespace moesim
