#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "models/hardware/switch_network.hpp"
#include "models/hardware/whole_numbers.hpp"
#include "models/units/error.hpp"

namespace moesim {
namespace {

int down_ports(const FabricSpec& fabric) {
  const double o = fabric.oversubscription;
  const int down = static_cast<int>(std::floor(fabric.switch_ports * o / (1 + o)));
  return std::clamp(down, 1, fabric.switch_ports - 1);
}

/// n / o, up; a hair below a whole number is that number (3 * (1 / 3.0) and the like).
int uplinks_for(int nics, double oversubscription) {
  return std::max(1, static_cast<int>(std::ceil(nics / oversubscription - 1e-9)));
}

bool is_fat_tree(const ClusterSpec& cluster) {
  return cluster.fabric.kind == FabricKind::fat_tree;
}

/// NICs of each (node, rail).
std::vector<int> count_nics(const ClusterSpec& cluster, std::span<const NicPlace> nics, int rails) {
  std::vector<int> count(at(cluster.nodes) * at(rails), 0);
  for (const NicPlace& nic : nics) ++count[at(nic.node) * at(rails) + (rails == 1 ? 0 : at(nic.rail))];
  return count;
}

/// Turns the plan of leaves into switches and cables.
class LeafSpine {
public:
  LeafSpine(const ClusterSpec& cluster, std::span<const NicPlace> nics)
      : cluster_{cluster}, plan_{plan_leaves(cluster, nics)} {
    network_.switch_of_nic = plan_.leaf_of_nic;
    network_.edges_per_rail = plan_.leaves_per_rail;
    network_.edge_switches = plan_.rails * plan_.leaves_per_rail;
  }

  SwitchNetwork build() {
    if (planes() > plan_.rails)
      throw InputError{"cluster.fabric.planes", fmt::format("{}", planes()),
                       fmt::format("at most {}: each of the rails is in one plane", plan_.rails)};
    add_leaves();
    if (needs_spines()) add_spines();
    return std::move(network_);
  }

private:
  int planes() const { return cluster_.fabric.kind == FabricKind::multi_rail ? cluster_.fabric.planes : 1; }
  bool bundled() const { return cluster_.spread == SpreadPolicy::spray; }
  int leaf(int rail, int nth) const { return rail * plan_.leaves_per_rail + nth; }

  bool needs_spines() const {
    if (plan_.leaves_per_rail > 1) return true;
    return cluster_.rails == RailPolicy::spine && plan_.rails > 1;
  }

  void add_leaves() {
    for (int rail = 0; rail < plan_.rails; ++rail)
      for (int nth = 0; nth < plan_.leaves_per_rail; ++nth) {
        const std::string name =
            is_fat_tree(cluster_) ? fmt::format("leaf{}", nth) : fmt::format("leaf{}.{}", rail, nth);
        network_.switches.push_back({name, VertexKind::leaf, -1, is_fat_tree(cluster_) ? -1 : rail});
        network_.index_of_switch.push_back(nth);
      }
  }

  int rails_of_plane(int plane) const { return ceil_div(plan_.rails - plane, planes()); }

  /// The fewest spines of a plane whose ports suffice.
  int spines_of_plane(int plane) const {
    const int leaves = plan_.leaves_per_rail * rails_of_plane(plane), ports = cluster_.fabric.switch_ports;
    if (leaves > ports)
      throw NotModelledYet{
          "cluster.nodes", fmt::format("a third switch tier ({} leaves on spines of {} ports)", leaves, ports),
          is_fat_tree(cluster_)
              ? "cluster.fabric.tiers 3, or switches with more ports (cluster.fabric.switch_ports)"
              : "fewer nodes, switches with more ports (cluster.fabric.switch_ports), more oversubscription, spine "
                "planes (multi-rail), or a fat-tree with tiers 3"};
    return ceil_div(*std::max_element(plan_.uplinks.begin(), plan_.uplinks.end()), ports / leaves);
  }

  void add_spines() {
    std::vector<int> first, count;
    for (int plane = 0; plane < planes(); ++plane) {
      first.push_back(static_cast<int>(network_.switches.size()));
      count.push_back(bundled() ? 1 : spines_of_plane(plane));
      if (bundled()) spines_of_plane(plane);  // refuses what needs a third tier
      const std::string in_plane = planes() > 1 ? fmt::format("{}.", plane) : "";
      // Perfect spraying makes the spines one switch: each carries the same share of every flow.
      for (int spine = 0; spine < count.back(); ++spine)
        network_.switches.push_back({bundled() ? planes() > 1 ? fmt::format("spine{}", plane) : "spine"
                                               : fmt::format("spine{}{}", in_plane, spine),
                                     VertexKind::spine, -1, -1});
    }
    for (int rail = 0; rail < plan_.rails; ++rail)
      for (int nth = 0; nth < plan_.leaves_per_rail; ++nth)
        add_uplinks(leaf(rail, nth), first[at(rail % planes())], count[at(rail % planes())]);
  }

  void add_uplinks(int leaf_switch, int first_spine, int spines) {
    const BytesPerSecond cable = plan_.uplink(leaf_switch, cluster_.fabric.oversubscription);
    const int cables = plan_.uplinks[at(leaf_switch)];
    if (cables == 0) return;
    if (bundled())
      return network_.add_cables(leaf_switch, first_spine, Tier::spine, cables * cable,
                                 fmt::format(" (bundle of {})", cables));
    for (int i = 0; i < cables; ++i)
      network_.add_cables(leaf_switch, first_spine + i % spines, Tier::spine, cable,
                          cables > spines ? fmt::format(" #{}", i / spines) : std::string{});
  }

  const ClusterSpec& cluster_;
  LeafPlan plan_;
  SwitchNetwork network_;
};

}  // namespace

void SwitchNetwork::add_cables(int a, int b, Tier tier, BytesPerSecond capacity, const std::string& suffix, int cost) {
  cables.push_back({a, b, tier, capacity, suffix, cost});
  cables.push_back({b, a, tier, capacity, suffix, cost});
}

LeafPlan plan_leaves(const ClusterSpec& cluster, std::span<const NicPlace> nics) {
  LeafPlan plan;
  for (const NicPlace& nic : nics) plan.rails = is_fat_tree(cluster) ? 1 : std::max(plan.rails, nic.rail + 1);
  const std::vector<int> count = count_nics(cluster, nics, plan.rails);
  const int most = *std::max_element(count.begin(), count.end()), down = down_ports(cluster.fabric);
  std::vector<int> nics_of_rail(at(plan.rails), 0), seen = nics_of_rail;
  for (std::size_t i = 0; i < count.size(); ++i) nics_of_rail[i % at(plan.rails)] += count[i];
  // a node whose NICs are too many for one leaf is split NIC by NIC
  const bool whole_nodes = most <= down;
  plan.leaves_per_rail = whole_nodes ? ceil_div(cluster.nodes, down / most)
                                     : ceil_div(*std::max_element(nics_of_rail.begin(), nics_of_rail.end()), down);
  plan.nics_on_leaf.assign(at(plan.rails * plan.leaves_per_rail), 0);
  plan.leaf_down.assign(plan.nics_on_leaf.size(), BytesPerSecond{0});
  for (const NicPlace& nic : nics) {
    const int rail = plan.rails == 1 ? 0 : nic.rail;
    const long long nth = whole_nodes ? nic.node : seen[at(rail)]++,
                    of = whole_nodes ? cluster.nodes : nics_of_rail[at(rail)];
    const int leaf = rail * plan.leaves_per_rail + static_cast<int>(nth * plan.leaves_per_rail / of);
    plan.leaf_of_nic.push_back(leaf);
    ++plan.nics_on_leaf[at(leaf)];
    plan.leaf_down[at(leaf)] += nic.bandwidth;
  }
  for (const int on_leaf : plan.nics_on_leaf)
    plan.uplinks.push_back(on_leaf == 0 ? 0 : uplinks_for(on_leaf, cluster.fabric.oversubscription));
  return plan;
}

SwitchNetwork leaf_spine_network(const ClusterSpec& cluster, std::span<const NicPlace> nics) {
  const SwitchNetwork network = LeafSpine{cluster, nics}.build();
  if (cluster.fabric.kind == FabricKind::rail_only && network.edges_per_rail > 1)
    throw InputError{"cluster.fabric.kind", fmt::format("rail-only with {} leaves per rail", network.edges_per_rail),
                     "one leaf per rail, as nothing joins them: fewer nodes, more cluster.fabric.switch_ports, or "
                     "rail-optimised"};
  return network;
}

}  // namespace moesim
