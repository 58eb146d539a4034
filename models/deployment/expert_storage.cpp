#include "models/deployment/expert_storage.hpp"

#include <algorithm>
#include <numeric>
#include <set>

#include "models/llm/parameters.hpp"

namespace moesim {
namespace {

/// Slots 0 .. slots_per_rank - 1 of a rank, largest load first, the empty ones last.
std::vector<std::size_t> by_load(std::span<const int> expert_of, std::span<const double> inclusion,
                                 const std::vector<int>& copies) {
  const auto load = [&](std::size_t slot) {
    const int expert = expert_of[slot];
    return expert < 0 ? -1.0 : inclusion[static_cast<std::size_t>(expert)] / copies[static_cast<std::size_t>(expert)];
  };
  std::vector<std::size_t> order(expert_of.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return load(a) > load(b); });
  return order;
}

Bytes largest_expert(const Architecture& model, const ExpertFormats& formats, int tp, MoeLayers layers) {
  std::set<NumberFormat> used;
  for (int l = layers.first; l < layers.end; ++l)
    for (int e = 0; e < formats.experts(); ++e) used.insert(formats.of(l, e));
  Bytes largest;
  for (const NumberFormat format : used) largest = std::max(largest, expert_bytes(model, format, tp));
  return largest;
}

}  // namespace

std::vector<bool> hottest_slots(const Placement& placement, const ExpertPopularity& popularity, int per_rank) {
  const auto slots = static_cast<std::size_t>(placement.slots());
  const auto of_rank = static_cast<std::size_t>(placement.slots_per_rank);
  std::vector<bool> resident(static_cast<std::size_t>(placement.layers) * slots, false);
  for (int l = 0; l < placement.layers; ++l) {
    const std::vector<int> copies = placement.replicas(l);
    for (std::size_t first = 0; first < slots; first += of_rank) {
      const auto order = by_load(placement.layer(l).subspan(first, of_rank), popularity.layer(l), copies);
      for (std::size_t i = 0; i < std::min(order.size(), static_cast<std::size_t>(per_rank)); ++i)
        resident[static_cast<std::size_t>(l) * slots + first + order[i]] = true;
    }
  }
  return resident;
}

StoredExperts stored_experts(const Architecture& model, const ExpertFormats& formats, const Placement& placement,
                             const std::vector<bool>& resident, int tp, MoeLayers layers) {
  StoredExperts fullest;
  const auto slots = static_cast<std::size_t>(placement.slots());
  for (int rank = 0; rank < placement.ranks; ++rank) {
    Bytes on_gpu, elsewhere;
    for (int l = layers.first; l < layers.end; ++l) {
      std::vector<int> stay, leave;
      for (int s = rank * placement.slots_per_rank; s < (rank + 1) * placement.slots_per_rank; ++s) {
        const auto slot = static_cast<std::size_t>(s);
        const bool stays = resident.empty() || resident[static_cast<std::size_t>(l) * slots + slot];
        if (const int expert = placement.layer(l)[slot]; expert >= 0) (stays ? stay : leave).push_back(expert);
      }
      on_gpu += slot_weight_bytes(model, formats, l, stay, tp);
      elsewhere += slot_weight_bytes(model, formats, l, leave, tp);
    }
    fullest.on_gpu = std::max(fullest.on_gpu, on_gpu);
    fullest.elsewhere = std::max(fullest.elsewhere, elsewhere);
  }
  fullest.largest = largest_expert(model, formats, tp, layers);
  return fullest;
}

}  // namespace moesim
