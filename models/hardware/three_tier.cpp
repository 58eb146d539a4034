#include <algorithm>

#include <fmt/format.h>

#include "models/hardware/switch_network.hpp"
#include "models/hardware/whole_numbers.hpp"
#include "models/units/error.hpp"

namespace moesim {
namespace {

class ThreeTier {
public:
  ThreeTier(const ClusterSpec& cluster, std::span<const NicPlace> nics)
      : cluster_{cluster},
        leaves_{plan_leaves(cluster, nics)},
        pods_{ceil_div(leaves_.leaves_per_rail, std::max(1, cluster.fabric.switch_ports / 2))},
        spines_{bundled() ? 1 : *std::max_element(leaves_.uplinks.begin(), leaves_.uplinks.end())} {
    if (pods_ > cluster.fabric.switch_ports)
      throw NotModelledYet{
          "cluster.nodes",
          fmt::format("a fourth switch tier ({} pods on cores of {} ports)", pods_, cluster.fabric.switch_ports),
          "fewer nodes, switches with more ports (cluster.fabric.switch_ports), or more oversubscription"};
  }

  SwitchNetwork build() {
    network_.switch_of_nic = leaves_.leaf_of_nic;
    network_.edge_switches = network_.edges_per_rail = leaves_.leaves_per_rail;
    for (int leaf = 0; leaf < leaves_.leaves_per_rail; ++leaf) {
      add_switch(VertexKind::leaf, fmt::format("leaf{}", leaf));
      network_.index_of_switch.push_back(leaf);
    }
    if (leaves_.leaves_per_rail == 1) return std::move(network_);
    first_spine_ = next_switch();
    for (int pod = 0; pod < pods_; ++pod)
      for (int spine = 0; spine < spines_; ++spine)
        add_switch(VertexKind::spine, bundled() ? fmt::format("spine{}", pod) : fmt::format("spine{}.{}", pod, spine));
    up_.assign(at(pods_) * at(spines_), {});
    for (int leaf = 0; leaf < leaves_.leaves_per_rail; ++leaf) add_leaf_uplinks(leaf);
    if (pods_ > 1) add_cores();
    return std::move(network_);
  }

private:
  /// What a spine has below it, and shall have above it.
  struct Uplinks {
    int cables = 0;
    BytesPerSecond capacity;
  };

  bool bundled() const { return cluster_.spread == SpreadPolicy::spray; }
  int next_switch() const { return static_cast<int>(network_.switches.size()); }
  int pod_of(int leaf) const {
    return static_cast<int>(static_cast<long long>(leaf) * pods_ / leaves_.leaves_per_rail);
  }
  void add_switch(VertexKind kind, const std::string& name) { network_.switches.push_back({name, kind, -1, -1}); }

  void add_leaf_uplinks(int leaf) {
    const BytesPerSecond cable = leaves_.uplink(leaf, cluster_.fabric.oversubscription);
    const int cables = leaves_.uplinks[at(leaf)], pod = pod_of(leaf);
    for (int i = 0; i < (bundled() ? 1 : cables); ++i) {
      const int merged = bundled() ? cables : 1;
      network_.add_cables(leaf, first_spine_ + pod * spines_ + i, Tier::spine, merged * cable,
                          bundled() ? fmt::format(" (bundle of {})", cables) : "");
      Uplinks& up = up_[at(pod) * at(spines_) + at(i)];
      up.cables += merged;
      up.capacity += merged * cable;
    }
  }

  void add_cores() {
    for (int spine = 0; spine < spines_; ++spine) {
      int most = 0;
      for (int pod = 0; pod < pods_; ++pod) most = std::max(most, up_[at(pod) * at(spines_) + at(spine)].cables);
      const int cores = bundled() ? 1 : ceil_div(most, std::max(1, cluster_.fabric.switch_ports / pods_));
      const int first = next_switch();
      for (int core = 0; core < cores; ++core)
        add_switch(VertexKind::core, bundled() ? "core" : fmt::format("core{}.{}", spine, core));
      for (int pod = 0; pod < pods_; ++pod) add_core_cables(pod * spines_ + spine, first, cores);
    }
  }

  void add_core_cables(int spine, int first_core, int cores) {
    const Uplinks& up = up_[at(spine)];
    if (up.cables == 0) return;
    if (bundled())
      return network_.add_cables(first_spine_ + spine, first_core, Tier::core, up.capacity,
                                 fmt::format(" (bundle of {})", up.cables));
    for (int i = 0; i < up.cables; ++i)
      network_.add_cables(first_spine_ + spine, first_core + i % cores, Tier::core, up.capacity / up.cables,
                          up.cables > cores ? fmt::format(" #{}", i / cores) : std::string{});
  }

  const ClusterSpec& cluster_;
  LeafPlan leaves_;
  int pods_, spines_;
  int first_spine_ = 0;
  std::vector<Uplinks> up_;  ///< [pods * spines]
  SwitchNetwork network_;
};

}  // namespace

SwitchNetwork three_tier_network(const ClusterSpec& cluster, std::span<const NicPlace> nics) {
  return ThreeTier{cluster, nics}.build();
}

}  // namespace moesim
