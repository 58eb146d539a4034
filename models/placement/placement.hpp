#pragma once
// Which slot of which rank holds which expert (domain E).

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace moesim {

enum class PlacementPolicy { linear, round_robin, lpt, eplb, eplb_global, eplb_hierarchical, file };
std::string_view name_of(PlacementPolicy policy);
std::vector<std::string> placement_policy_names();
/// Throws InputError with the nearest name.
PlacementPolicy parse_placement_policy(std::string_view name, std::string_view where);

struct PlacementSpec {
  PlacementPolicy policy = PlacementPolicy::linear;
  int redundant = 0;  ///< physical slots beyond one per expert, over the whole EP group
  std::string file;   ///< layer,rank,experts (space separated), .csv or .csv.gz
};

/// Which copy of a replicated expert serves a token.
enum class ReplicaChoice { uniform_random, static_nearest };

/// Slot s of a layer sits on rank s / slots_per_rank. -1 marks an empty slot (files whose ranks hold different counts).
struct Placement {
  int layers = 0, experts = 0, ranks = 0, slots_per_rank = 0;
  std::vector<int> expert_of;  ///< [layers * ranks * slots_per_rank]

  int slots() const { return ranks * slots_per_rank; }
  std::span<const int> layer(int l) const {
    return {expert_of.data() + static_cast<std::size_t>(l) * slots(), static_cast<std::size_t>(slots())};
  }
  std::vector<int> replicas(int l) const;  ///< [experts] copies of each expert in a layer
};

/// Where experts may go.
struct PlacementTarget {
  int ranks = 1;
  int nodes = 1;   ///< ranks / nodes consecutive ranks each
  int groups = 1;  ///< consecutive expert groups that hierarchical EPLB keeps on one node
  int slots = 0;   ///< physical slots over all ranks, >= experts and divisible by ranks
};

/// Fills the slots of every layer.
///
/// layers  : MoE layers, in order
/// loads [layers * experts] : tokens each expert receives, any scale. A layer without any load counts as uniform.
/// linear, round_robin and lpt hold every expert once; eplb is hierarchical when nodes divides groups and global
/// otherwise. target.slots == 0 means experts + spec.redundant. The policy `file` takes its slots from the file, and no
/// loads are needed. Throws InputError: slots that do not divide over the ranks, fewer slots than experts, replicas
/// asked of a policy that makes none, loads that are negative or not finite, a file that does not fit.
Placement place(const PlacementSpec& spec, const PlacementTarget& target, int layers, int experts,
                std::span<const double> loads);

/// Read the columns layer, rank and experts (separated by spaces) of a .csv or .csv.gz, one row per layer and rank, in
/// any order. Other columns do not count.
/// File layers are MoE layers 0, 1, ... Ranks with fewer experts than the fullest get empty slots (-1).
/// Throws InputError with file:line:column: another number of ranks or layers, a row twice or missing, an expert out of
/// range, or one that no rank of a layer holds.
Placement load_placement(const std::string& file, int ranks, int layers, int experts);

/// Load of every rank of a layer when replicas share evenly: sum over its slots of load[e] / replicas[e].
std::vector<double> rank_loads(const Placement& placement, int layer, std::span<const double> expert_load);

/// No choice of ranks for these replicas can load its fullest rank less: max(mean over ranks, max_e load[e] /
/// replicas[e]).
double load_lower_bound(const Placement& placement, int layer, std::span<const double> expert_load);

}  // namespace moesim
