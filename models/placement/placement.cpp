#include "models/placement/placement.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include <fmt/format.h>

#include "models/placement/eplb.hpp"
#include "models/placement/packing.hpp"
#include "models/units/error.hpp"

namespace moesim {
namespace {

constexpr std::array kPolicies{
    PlacementPolicy::linear,      PlacementPolicy::round_robin,       PlacementPolicy::lpt, PlacementPolicy::eplb,
    PlacementPolicy::eplb_global, PlacementPolicy::eplb_hierarchical, PlacementPolicy::file};

bool makes_replicas(PlacementPolicy policy) {
  return policy == PlacementPolicy::eplb || policy == PlacementPolicy::eplb_global ||
         policy == PlacementPolicy::eplb_hierarchical;
}

void check_counts(const PlacementTarget& target, int layers, int experts) {
  const auto check = [](const char* key, int count) {
    if (count < 1) throw InputError{key, std::to_string(count), "a whole number, 1 or more"};
  };
  check("placement layers", layers);
  check("placement experts", experts);
  check("placement ranks", target.ranks);
  check("placement nodes", target.nodes);
  check("placement groups", target.groups);
}

int checked_slots(const PlacementSpec& spec, const PlacementTarget& target, int experts) {
  if (spec.redundant < 0) throw InputError{"placement.redundant", std::to_string(spec.redundant), "0 or more"};
  const long long wanted = static_cast<long long>(experts) + spec.redundant;
  const long long slots = target.slots > 0 ? target.slots : wanted;
  if (spec.redundant > 0 && slots != wanted)
    throw InputError{"placement.redundant", fmt::format("{} slots", slots),
                     fmt::format("{} experts + {} redundant = {} slots", experts, spec.redundant, wanted)};
  const long long most = static_cast<long long>(experts) * target.ranks;
  if (slots > most)
    throw InputError{
        "placement slots", std::to_string(slots),
        fmt::format("at most {}: a copy of all {} experts on each of the {} ranks", most, experts, target.ranks)};
  if (slots < experts)
    throw InputError{"placement slots", std::to_string(slots),
                     fmt::format("at least one for each of the {} experts", experts)};
  if (slots > experts && !makes_replicas(spec.policy))
    throw InputError{"placement.redundant", std::to_string(slots - experts),
                     fmt::format("0: policy {} makes no replicas, the eplb policies do", name_of(spec.policy))};
  if (slots % target.ranks != 0)
    throw InputError{"placement slots",
                     fmt::format("{} experts + {} redundant = {} slots", experts, slots - experts, slots),
                     fmt::format("a multiple of the {} ranks", target.ranks)};
  return static_cast<int>(slots);
}

/// Groups and nodes as the policy uses them: (1, 1) is the global one.
std::pair<int, int> eplb_hierarchy(PlacementPolicy policy, const PlacementTarget& target, int experts) {
  if (policy == PlacementPolicy::eplb_global) return {1, 1};
  if (target.groups % target.nodes != 0) {
    if (policy == PlacementPolicy::eplb) return {1, 1};
    throw InputError{"placement.policy", fmt::format("eplb_hierarchical with {} expert groups", target.groups),
                     fmt::format("groups that divide over the {} nodes; eplb_global needs none", target.nodes)};
  }
  if (experts % target.groups != 0)
    throw InputError{"placement groups", std::to_string(target.groups),
                     fmt::format("a divisor of the {} experts", experts)};
  if (target.ranks % target.nodes != 0)
    throw InputError{"placement nodes", std::to_string(target.nodes),
                     fmt::format("a divisor of the {} ranks", target.ranks)};
  return {target.groups, target.nodes};
}

void check_loads(std::span<const double> loads, int layers, int experts) {
  const std::size_t expected = static_cast<std::size_t>(layers) * experts;
  if (loads.size() != expected)
    throw InputError{"placement loads", fmt::format("{} values", loads.size()),
                     fmt::format("{} layers x {} experts = {}", layers, experts, expected)};
  for (std::size_t i = 0; i < expected; ++i)
    if (!std::isfinite(loads[i]) || loads[i] < 0)
      throw InputError{fmt::format("placement loads: layer {}, expert {}", i / experts, i % experts),
                       fmt::format("{}", loads[i]), "a finite load, 0 or more"};
}

/// A layer nobody routed to says nothing: as uniform, its replicas spread instead of all copying expert 0.
std::vector<double> meaningful(std::span<const double> loads) {
  std::vector<double> copy(loads.begin(), loads.end());
  if (std::all_of(copy.begin(), copy.end(), [](double load) { return load == 0; }))
    std::fill(copy.begin(), copy.end(), 1.0);
  return copy;
}

std::vector<int> lpt_slots(std::span<const double> loads, int ranks) {
  const int experts = static_cast<int>(loads.size());
  std::vector<int> slot_expert(experts);
  const auto packed = pack_evenly(loads, ranks);
  for (int expert = 0; expert < experts; ++expert)
    slot_expert[packed[expert].bin * (experts / ranks) + packed[expert].position] = expert;
  return slot_expert;
}

std::vector<int> round_robin_slots(int experts, int ranks) {
  std::vector<int> slot_expert(experts);
  for (int expert = 0; expert < experts; ++expert)
    slot_expert[expert % ranks * (experts / ranks) + expert / ranks] = expert;
  return slot_expert;
}

std::vector<int> linear_slots(int experts) {
  std::vector<int> slot_expert(experts);
  std::iota(slot_expert.begin(), slot_expert.end(), 0);
  return slot_expert;
}

}  // namespace

std::string_view name_of(PlacementPolicy policy) {
  switch (policy) {
    case PlacementPolicy::linear:
      return "linear";
    case PlacementPolicy::round_robin:
      return "round_robin";
    case PlacementPolicy::lpt:
      return "lpt";
    case PlacementPolicy::eplb:
      return "eplb";
    case PlacementPolicy::eplb_global:
      return "eplb_global";
    case PlacementPolicy::eplb_hierarchical:
      return "eplb_hierarchical";
    case PlacementPolicy::file:
      return "file";
  }
  return "";
}

std::vector<std::string> placement_policy_names() {
  std::vector<std::string> names;
  for (PlacementPolicy policy : kPolicies) names.emplace_back(name_of(policy));
  return names;
}

PlacementPolicy parse_placement_policy(std::string_view name, std::string_view where) {
  for (PlacementPolicy policy : kPolicies)
    if (name_of(policy) == name) return policy;
  const auto names = placement_policy_names();
  throw InputError{std::string{where}, std::string{name}, fmt::format("one of {}", fmt::join(names, ", ")),
                   nearest(name, names)};
}

std::vector<int> Placement::replicas(int l) const {
  std::vector<int> copies(experts, 0);
  for (int expert : layer(l))
    if (expert >= 0) ++copies[expert];
  return copies;
}

Placement place(const PlacementSpec& spec, const PlacementTarget& target, int layers, int experts,
                std::span<const double> loads) {
  check_counts(target, layers, experts);
  if (spec.policy == PlacementPolicy::file) {
    if (spec.redundant != 0)
      throw InputError{"placement.redundant", std::to_string(spec.redundant), "0: the file states the replicas"};
    return load_placement(spec.file, target.ranks, layers, experts);
  }
  const int slots = checked_slots(spec, target, experts);
  check_loads(loads, layers, experts);
  const auto [groups, nodes] =
      makes_replicas(spec.policy) ? eplb_hierarchy(spec.policy, target, experts) : std::pair{1, 1};

  Placement placement{layers, experts, target.ranks, slots / target.ranks, {}};
  placement.expert_of.reserve(static_cast<std::size_t>(layers) * slots);
  for (int layer = 0; layer < layers; ++layer) {
    const auto load = meaningful(loads.subspan(static_cast<std::size_t>(layer) * experts, experts));
    std::vector<int> slot_expert;
    switch (spec.policy) {
      case PlacementPolicy::linear:
        slot_expert = linear_slots(experts);
        break;
      case PlacementPolicy::round_robin:
        slot_expert = round_robin_slots(experts, target.ranks);
        break;
      case PlacementPolicy::lpt:
        slot_expert = lpt_slots(load, target.ranks);
        break;
      default:
        slot_expert = balance_hierarchically(load, slots, groups, nodes, target.ranks);
    }
    placement.expert_of.insert(placement.expert_of.end(), slot_expert.begin(), slot_expert.end());
  }
  return placement;
}

std::vector<double> rank_loads(const Placement& placement, int layer, std::span<const double> expert_load) {
  const std::vector<int> copies = placement.replicas(layer);
  const auto slots = placement.layer(layer);
  std::vector<double> load(placement.ranks, 0.0);
  for (std::size_t slot = 0; slot < slots.size(); ++slot)
    if (const int expert = slots[slot]; expert >= 0)
      load[slot / placement.slots_per_rank] += expert_load[expert] / copies[expert];
  return load;
}

double load_lower_bound(const Placement& placement, int layer, std::span<const double> expert_load) {
  const std::vector<int> copies = placement.replicas(layer);
  double bound = std::accumulate(expert_load.begin(), expert_load.end(), 0.0) / placement.ranks;
  for (int expert = 0; expert < placement.experts; ++expert)
    if (copies[expert] > 0) bound = std::max(bound, expert_load[expert] / copies[expert]);
  return bound;
}

}  // namespace moesim
