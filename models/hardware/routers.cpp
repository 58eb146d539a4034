// Fabrics of routers that are joined directly: dragonfly and torus.

#include <cmath>

#include <fmt/format.h>

#include "models/hardware/switch_network.hpp"
#include "models/units/divisors.hpp"
#include "models/units/error.hpp"

namespace moesim {
namespace {

/// A path of local, global, local must beat one over two global cables.
constexpr int kGlobalCost = 3;

int ceil_div(int a, int b) {
  return (a + b - 1) / b;
}

int most_nics_of_a_node(std::span<const NicPlace> nics) {
  int most = 0;
  for (const NicPlace& nic : nics) most = std::max(most, nic.index + 1);
  return most;
}

class Dragonfly {
public:
  Dragonfly(const ClusterSpec& cluster, std::span<const NicPlace> nics)
      : fabric_{cluster.fabric},
        groups_{fabric_.groups},
        routers_{fabric_.routers},
        nodes_per_router_{ceil_div(cluster.nodes, std::max(1, groups_ * routers_))},
        global_links_{fabric_.global_links > 0 ? fabric_.global_links : ceil_div(groups_ - 1, std::max(1, routers_))},
        link_{fabric_.link.value() > 0 ? fabric_.link : fabric_.nic} {
    check(cluster.nodes, nodes_per_router_ * most_nics_of_a_node(nics));
    for (const NicPlace& nic : nics) network_.switch_of_nic.push_back(nic.node / nodes_per_router_);
    network_.edge_switches = network_.edges_per_rail = groups_ * routers_;
  }

  SwitchNetwork build() {
    for (int group = 0; group < groups_; ++group)
      for (int router = 0; router < routers_; ++router) {
        network_.index_of_switch.push_back(group * routers_ + router);
        network_.switches.push_back({fmt::format("r{}.{}", group, router), VertexKind::router, -1, group});
      }
    for (int group = 0; group < groups_; ++group)
      for (int a = 0; a < routers_; ++a)
        for (int b = a + 1; b < routers_; ++b)
          network_.add_cables(group * routers_ + a, group * routers_ + b, Tier::local, link_);
    for (int group = 0; group < groups_; ++group) add_global_cables(group);
    return std::move(network_);
  }

private:
  void check(int nodes, int nics_on_router) const {
    if (groups_ < 1 || routers_ < 1)
      throw InputError{"cluster.fabric.groups", fmt::format("{} groups of {} routers", groups_, routers_),
                       "cluster.fabric.groups and cluster.fabric.routers of at least 1 for a dragonfly"};
    if (groups_ * routers_ > nodes)
      throw InputError{"cluster.fabric.groups", fmt::format("{} x {} routers for {} nodes", groups_, routers_, nodes),
                       "a node for each router"};
    if (routers_ * global_links_ < groups_ - 1)
      throw InputError{"cluster.fabric.global_links", fmt::format("{}", global_links_),
                       fmt::format("at least {}, so that {} routers reach {} other groups",
                                   ceil_div(groups_ - 1, routers_), routers_, groups_ - 1)};
    const int ports = nics_on_router + routers_ - 1 + global_links_;
    if (ports > fabric_.switch_ports)
      throw InputError{"cluster.fabric.switch_ports", fmt::format("{}", fabric_.switch_ports),
                       fmt::format("at least {}: {} NICs, {} routers of the group, {} global links", ports,
                                   nics_on_router, routers_ - 1, global_links_)};
  }

  int cables_to_each_group() const { return groups_ == 1 ? 0 : routers_ * global_links_ / (groups_ - 1); }

  /// Port p of a group goes to the group (p mod (groups - 1)) + 1 further on; the way back is the port of the same
  /// round there. Each cable is added from its lower group.
  void add_global_cables(int group) {
    const int others = groups_ - 1;
    for (int round = 0; round < cables_to_each_group(); ++round)
      for (int distance = 1; group + distance < groups_; ++distance) {
        const int here = round * others + distance - 1, there = round * others + (groups_ - distance) - 1;
        network_.add_cables(router_of_port(group, here), router_of_port(group + distance, there), Tier::global, link_,
                            suffix(here, there, round), kGlobalCost);
      }
  }
  /// Two routers may share several cables.
  std::string suffix(int here, int there, int round) const {
    const int others = groups_ - 1;
    const bool again = round > 0 && (here - others) / global_links_ == here / global_links_ &&
                       (there - others) / global_links_ == there / global_links_;
    return again ? fmt::format(" #{}", round) : "";
  }
  int router_of_port(int group, int port) const { return group * routers_ + port / global_links_; }

  const FabricSpec& fabric_;
  int groups_, routers_, nodes_per_router_, global_links_;
  BytesPerSecond link_;
  SwitchNetwork network_;
};

/// The divisor of the nodes next below their root: the squarest torus.
int default_width(int nodes) {
  int width = 1;
  for (int divisor = 1; divisor * divisor <= nodes; ++divisor)
    if (nodes % divisor == 0) width = divisor;
  return width;
}

/// A ring of one cable between each two neighbours; two members have one cable, not two.
template <typename AddCable>
void add_ring(int members, AddCable add) {
  for (int i = 0; i + 1 < members; ++i) add(i, i + 1);
  if (members > 2) add(members - 1, 0);
}

}  // namespace

SwitchNetwork dragonfly_network(const ClusterSpec& cluster, std::span<const NicPlace> nics) {
  return Dragonfly{cluster, nics}.build();
}

SwitchNetwork torus_network(const ClusterSpec& cluster, std::span<const NicPlace> nics) {
  const int width = cluster.fabric.width > 0 ? cluster.fabric.width : default_width(cluster.nodes);
  if (cluster.nodes % width != 0)
    throw InputError{"cluster.fabric.width", fmt::format("{}", width),
                     fmt::format("a divisor of the {} nodes", cluster.nodes), nearest_divisors(width, cluster.nodes)};
  SwitchNetwork network;
  network.torus_width = width;
  network.torus_height = cluster.nodes / width;
  network.edge_switches = network.edges_per_rail = cluster.nodes;
  for (const NicPlace& nic : nics) network.switch_of_nic.push_back(nic.node);
  for (int node = 0; node < cluster.nodes; ++node) {
    network.switches.push_back({fmt::format("r{}.{}", node % width, node / width), VertexKind::router, -1, -1});
    network.index_of_switch.push_back(node);
  }
  const BytesPerSecond link =
      cluster.fabric.link.value() > 0 ? cluster.fabric.link : most_nics_of_a_node(nics) * cluster.fabric.nic;
  const auto join = [&](int a, int b) { network.add_cables(a, b, Tier::torus, link); };
  for (int y = 0; y < network.torus_height; ++y)
    add_ring(width, [&](int a, int b) { join(y * width + a, y * width + b); });
  for (int x = 0; x < width; ++x)
    add_ring(network.torus_height, [&](int a, int b) { join(a * width + x, b * width + x); });
  return network;
}

SwitchNetwork plan_network(const ClusterSpec& cluster, std::span<const NicPlace> nics) {
  switch (cluster.fabric.kind) {
    case FabricKind::rail_optimised:
    case FabricKind::multi_rail:
    case FabricKind::rail_only:
      return leaf_spine_network(cluster, nics);
    case FabricKind::fat_tree:
      return cluster.fabric.tiers == 3 ? three_tier_network(cluster, nics) : leaf_spine_network(cluster, nics);
    case FabricKind::dragonfly:
      return dragonfly_network(cluster, nics);
    case FabricKind::torus:
      return torus_network(cluster, nics);
    case FabricKind::single_node:
    case FabricKind::graph:
      break;
  }
  return {};
}

}  // namespace moesim
