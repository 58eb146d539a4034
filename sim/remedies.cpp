#include "sim/remedies.hpp"

#include <algorithm>
#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "models/units/error.hpp"
#include "sim/metrics/shell_word.hpp"
#include "sim/scenario/value.hpp"

namespace moesim {
namespace {

using Why = Hotspot::Cause;
using Set = std::vector<Override>;

struct Remedy {
  std::string what;           ///< "place by load"
  Set set{};                  ///< empty: the scenario cannot state it
  std::vector<Set> others{};  ///< that may help instead, likeliest first
};

/// The same list without some of it, as YAML; "" takes an empty one's key out.
template <class Factors>
std::string listed(const Factors& factors) {
  std::vector<std::string> items;
  for (const auto& of : factors)
    items.push_back(fmt::format("{{name: {}, factor: {}}}", quoted_text(of.name), of.factor));
  return items.empty() ? "" : fmt::format("[{}]", fmt::join(items, ", "));
}

bool names_link(const LinkFactor& factor, const std::string& link) {
  constexpr std::string_view kBoth = " <-> ";
  const std::size_t both = factor.name.find(kBoth);
  if (both == std::string::npos) return factor.name == link;
  const std::string a = factor.name.substr(0, both), b = factor.name.substr(both + kBoth.size());
  return link == a + " -> " + b || link == b + " -> " + a;
}

/// Knows what the scenario says now.
class Remedies {
public:
  Remedies(const Scenario& scenario, const Deployment& plan, const Summary& summary)
      : scenario_{scenario}, plan_{plan}, summary_{summary} {}

  Remedy of(const Hotspot& spot) const {
    switch (spot.cause) {
      case Why::hot_expert:
        return more_replicas();
      case Why::hot_experts:
        return ignores_loads() && plan_.placement.slots_per_rank > 1 ? placed_by_load() : more_replicas();
      case Why::slow_gpu:
        return repaired_gpu(spot.id);
      case Why::uneven_batches:
        if (scenario_.workload.dp_imbalance == 1) return {};
        return {"even batches", {{"workload.dp_imbalance", "1"}}};
      case Why::slow_link:
        return repaired_link(spot.id);
      case Why::collision:
        return {"spray packets over all uplinks", {{"communication.spread", "spray"}}};
      case Why::busy_link:
        return {};
      case Why::oversubscription:
        return {"as many uplinks as downlinks", {{"cluster.fabric.oversubscription", "1"}}};
      case Why::uneven_stages:
        return even_stages();
      case Why::uneven_pools:
        return {"other sizes of the pools"};
    }
    return {};
  }

  /// Whether the scenario loads with these keys.
  bool is_valid(const Set& set) const {
    try {
      parse_scenario(resolved_yaml(scenario_), scenario_.name + ".yaml", ".", set);
      return true;
    } catch (const InputError&) {
      return false;
    }
  }

private:
  bool ignores_loads() const {
    const PlacementPolicy policy = scenario_.placement.policy;
    return policy == PlacementPolicy::linear || policy == PlacementPolicy::round_robin ||
           policy == PlacementPolicy::file;
  }

  /// A policy that places by load and makes replicas, with this many slots.
  Set eplb(int slots) const {
    Set set;
    const PlacementSpec& now = scenario_.placement;
    if (now.policy != PlacementPolicy::eplb && now.policy != PlacementPolicy::eplb_global &&
        now.policy != PlacementPolicy::eplb_hierarchical) {
      const PlacementTarget target = placement_target(scenario_, plan_.layout, plan_.placement.experts);
      const bool any = target.groups % target.nodes != 0 ||
                       (target.ranks % target.nodes == 0 && plan_.placement.experts % target.groups == 0);
      set.emplace_back("placement.policy", any ? "eplb" : "eplb_global");
    }
    if (now.policy == PlacementPolicy::file) set.emplace_back("placement.file", "");
    if (const int redundant = slots - plan_.placement.experts; redundant != now.redundant)
      set.emplace_back("placement.redundant", fmt::format("{}", redundant));
    return set;
  }

  Remedy placed_by_load() const {
    const Placement& placement = plan_.placement;
    Remedy remedy{"place by load", eplb(placement.slots())};
    for (int more = 1; more <= 2; ++more)
      if (placement.slots_per_rank + more <= placement.experts)
        remedy.others.push_back(eplb(placement.slots() + more * placement.ranks));
    return remedy;
  }

  /// One more slot on every GPU, unless all experts are on all of them.
  Remedy more_replicas() const {
    const Placement& placement = plan_.placement;
    if (placement.slots_per_rank >= placement.experts) return {};
    Remedy remedy{"one more expert slot on each GPU", eplb(placement.slots() + placement.ranks)};
    if (placement.slots_per_rank + 1 < placement.experts)
      remedy.others.push_back(eplb(placement.slots() + 2 * placement.ranks));
    return remedy;
  }

  /// With all that are as slow: one of them alone would change nothing.
  Remedy repaired_gpu(const std::string& name) const {
    const auto& slow = scenario_.cluster.slow_gpus;
    const auto own = std::find_if(slow.begin(), slow.end(), [&](const GpuFactor& gpu) { return gpu.name == name; });
    std::vector<GpuFactor> left;
    std::copy_if(slow.begin(), slow.end(), std::back_inserter(left),
                 [&](const GpuFactor& gpu) { return gpu.factor > own->factor; });
    return {slow.size() - left.size() == 1 ? "repair it" : "repair it and those as slow",
            {{"cluster.slow_gpus", listed(left)}}};
  }

  Remedy repaired_link(const std::string& name) const {
    std::vector<LinkFactor> left;
    for (const LinkFactor& link : scenario_.cluster.degraded)
      if (!names_link(link, name)) left.push_back(link);
    if (left.size() == scenario_.cluster.degraded.size()) return {"more bandwidth for it"};
    return {"repair it", {{"cluster.links", listed(left)}}};
  }

  /// Layers go one by one to the stage that would be done first. What a stage works beyond the cheapest layer's share
  /// (the LM head) stays where it is.
  Remedy even_stages() const {
    const std::vector<int>& now = plan_.layout.spec.stage_layers;
    std::vector<double> work;
    double layer = summary_.stage_work.front().value() / now.front();
    for (std::size_t s = 0; s < now.size(); ++s) layer = std::min(layer, summary_.stage_work[s].value() / now[s]);
    for (std::size_t s = 0; s < now.size(); ++s)  // of a first layer and what does not move
      work.push_back(summary_.stage_work[s].value() - (now[s] - 1) * layer);
    std::vector<int> layers(now.size(), 1);
    for (int left = scenario_.model.layers - static_cast<int>(now.size()); left > 0; --left) {
      const auto first = std::min_element(work.begin(), work.end()) - work.begin();
      work[static_cast<std::size_t>(first)] += layer;
      ++layers[static_cast<std::size_t>(first)];
    }
    if (layers == now) return {};
    return {"other layers per stage", {{"layout.stage_layers", fmt::format("[{}]", fmt::join(layers, ", "))}}};
  }

  const Scenario& scenario_;
  const Deployment& plan_;
  const Summary& summary_;
};

}  // namespace

void add_remedies(const Scenario& scenario, const Deployment& plan, Summary& summary) {
  const Remedies remedies{scenario, plan, summary};
  std::map<Set, bool> valid;
  const auto is_valid = [&](const Set& set) {
    const auto [known, is_new] = valid.try_emplace(set, false);
    if (is_new) known->second = remedies.is_valid(set);
    return known->second;
  };
  for (Hotspot& spot : summary.hotspots) {
    const Remedy remedy = remedies.of(spot);
    spot.advice = remedy.what;
    if (!remedy.what.empty()) spot.remedy += "; " + remedy.what;
    if (remedy.set.empty() || !is_valid(remedy.set)) continue;
    spot.set = remedy.set;
    spot.remedy += ":" + as_options(remedy.set);
    std::copy_if(remedy.others.begin(), remedy.others.end(), std::back_inserter(spot.other_sets), is_valid);
  }
}

std::vector<double> link_factors(const ClusterSpec& cluster, const Topology& topology) {
  if (cluster.degraded.empty()) return {};
  std::vector<double> factors;
  for (const Link& link : topology.links()) {
    factors.push_back(1);
    for (const LinkFactor& of : cluster.degraded)
      if (names_link(of, link.name)) factors.back() *= of.factor;
  }
  return factors;
}

std::string as_options(const std::vector<Override>& set) {
  std::string options;
  for (const auto& [key, value] : set)
    options += fmt::format(" --set {}={}", key, value.empty() ? "" : shell_word(value));
  return options;
}

}  // namespace moesim
