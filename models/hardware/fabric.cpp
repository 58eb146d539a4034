#include "models/hardware/fabric.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "models/hardware/network_parts.hpp"
#include "models/units/error.hpp"
#include "models/units/text.hpp"

namespace moesim {
namespace {

void require(bool condition, const char* where, const std::string& found, const char* expected) {
  if (!condition) throw InputError{where, found, expected};
}

void check_links(const ClusterSpec& cluster) {
  const double nvlink = cluster.gpu.nvlink.value(), nic = cluster.fabric.nic.value();
  require(cluster.gpus_per_node == 1 || (std::isfinite(nvlink) && nvlink > 0), "cluster.gpu.nvlink",
          fmt::format("{} B/s", nvlink), "more than zero, as a node has several GPUs");
  if (cluster.nodes == 1) return;
  require(cluster.fabric.kind == FabricKind::rail_optimised, "cluster.fabric.kind",
          fmt::format("single_node for {} nodes", cluster.nodes), "rail-optimised");
  require(std::isfinite(nic) && nic > 0, "cluster.fabric.nic", fmt::format("{} B/s", nic),
          "more than zero, as there are several nodes");
  require(cluster.fabric.switch_ports >= 2, "cluster.fabric.switch_ports",
          fmt::format("{}", cluster.fabric.switch_ports), "at least 2");
  require(std::isfinite(cluster.fabric.oversubscription) && cluster.fabric.oversubscription >= 1,
          "cluster.fabric.oversubscription", fmt::format("{}", cluster.fabric.oversubscription), "at least 1");
}

void check(const ClusterSpec& cluster) {
  require(cluster.nodes >= 1, "cluster.nodes", fmt::format("{}", cluster.nodes), "at least 1");
  require(cluster.gpus_per_node >= 1, "cluster.gpus_per_node", fmt::format("{}", cluster.gpus_per_node), "at least 1");
  if (static_cast<long long>(cluster.nodes) * cluster.gpus_per_node > kMostRoutedGpus)
    throw NotModelledYet{"cluster.nodes",
                         fmt::format("a cluster of {} x {} GPUs", cluster.nodes, cluster.gpus_per_node),
                         fmt::format("at most {} GPUs, as the routes of all pairs are held", kMostRoutedGpus)};
  check_links(cluster);
  const FabricSpec& fabric = cluster.fabric;
  if (cluster.nodes == 1 || fabric.switch_name.empty()) return;
  const SwitchPart part = find_switch(fabric.switch_name, "cluster.fabric.switch");
  if (fabric.nic > part.port)
    throw InputError{"cluster.fabric.nic", to_text(fabric.nic),
                     fmt::format("at most {}, the port of switch {}", to_text(part.port), part.name)};
}

int ceil_div(int a, int b) {
  return (a + b - 1) / b;
}

int down_ports(const FabricSpec& fabric) {
  const double o = fabric.oversubscription;
  const int down = static_cast<int>(std::floor(fabric.switch_ports * o / (1 + o)));
  return std::clamp(down, 1, fabric.switch_ports - 1);
}

/// n / o, up; a hair below a whole number is that number (3 * (1 / 3.0) and the like).
int uplinks_for(int nodes, double oversubscription) {
  return std::max(1, static_cast<int>(std::ceil(nodes / oversubscription - 1e-9)));
}

int spines_for(const ClusterSpec& cluster, const FabricPlan& plan) {
  const int leaves = plan.leaves_per_rail * cluster.gpus_per_node;
  if (leaves > cluster.fabric.switch_ports)
    throw NotModelledYet{
        "cluster.nodes",
        fmt::format("a third switch tier ({} leaves on spines of {} ports)", leaves, cluster.fabric.switch_ports),
        "fewer nodes, switches with more ports (cluster.fabric.switch_ports), or more oversubscription"};
  const int cables_per_spine = cluster.fabric.switch_ports / leaves;
  return ceil_div(*std::max_element(plan.uplinks.begin(), plan.uplinks.end()), cables_per_spine);
}

/// Vertices and links as they are named and numbered.
class Builder {
public:
  Builder(const ClusterSpec& cluster, const FabricPlan& plan) : cluster_{cluster}, plan_{plan} {}

  ClusterGraph build() {
    add_vertices();
    if (cluster_.gpus_per_node > 1) add_nvlinks();
    if (plan_.leaves_per_rail > 0) add_nics();
    graph_.first_switch_link = next_link();
    for (int rail = 0; rail < cluster_.gpus_per_node && plan_.spines > 0; ++rail)
      for (int leaf = 0; leaf < plan_.leaves_per_rail; ++leaf) add_uplinks(rail, leaf);
    return std::move(graph_);
  }

private:
  bool bundled() const { return cluster_.spread == SpreadPolicy::spray; }
  int next_vertex() const { return static_cast<int>(graph_.vertices.size()); }
  LinkId next_link() const { return static_cast<LinkId>(graph_.links.size()); }
  int leaf_vertex(int rail, int leaf) const { return graph_.first_leaf + rail * plan_.leaves_per_rail + leaf; }
  int leaf_vertex_of_gpu(int gpu) const {
    const int node = gpu / cluster_.gpus_per_node;
    return leaf_vertex(gpu % cluster_.gpus_per_node, plan_.leaf_of_node[static_cast<std::size_t>(node)]);
  }

  void add_vertices() {
    for (int node = 0; node < cluster_.nodes; ++node)
      for (int rail = 0; rail < cluster_.gpus_per_node; ++rail)
        graph_.vertices.push_back({fmt::format("n{}g{}", node, rail), VertexKind::gpu, node, rail});
    graph_.first_nvswitch = next_vertex();
    for (int node = 0; node < cluster_.nodes && cluster_.gpus_per_node > 1; ++node)
      graph_.vertices.push_back({fmt::format("n{} nvswitch", node), VertexKind::nvswitch, node, -1});
    graph_.first_leaf = next_vertex();
    for (int rail = 0; rail < cluster_.gpus_per_node; ++rail)
      for (int leaf = 0; leaf < plan_.leaves_per_rail; ++leaf)
        graph_.vertices.push_back({fmt::format("leaf{}.{}", rail, leaf), VertexKind::leaf, -1, rail});
    graph_.first_spine = next_vertex();
    // Perfect spraying makes the spines one switch: each carries the same share of every flow.
    if (bundled() && plan_.spines > 0) graph_.vertices.push_back({"spine", VertexKind::spine, -1, -1});
    for (int spine = 0; spine < plan_.spines && !bundled(); ++spine)
      graph_.vertices.push_back({fmt::format("spine{}", spine), VertexKind::spine, -1, -1});
  }

  void add_link(Tier tier, int from, int to, BytesPerSecond capacity, const std::string& suffix = {}) {
    const auto name = [&](int v) -> const std::string& { return graph_.vertices[static_cast<std::size_t>(v)].name; };
    graph_.links.push_back({fmt::format("{} -> {}{}", name(from), name(to), suffix), tier, from, to, capacity});
  }

  void add_nvlinks() {
    const auto nvswitch = [&](int gpu) { return graph_.first_nvswitch + gpu / cluster_.gpus_per_node; };
    graph_.nvlink_up = next_link();
    for (int gpu = 0; gpu < cluster_.gpus(); ++gpu) add_link(Tier::nvlink, gpu, nvswitch(gpu), cluster_.gpu.nvlink);
    graph_.nvlink_down = next_link();
    for (int gpu = 0; gpu < cluster_.gpus(); ++gpu) add_link(Tier::nvlink, nvswitch(gpu), gpu, cluster_.gpu.nvlink);
  }

  void add_nics() {
    graph_.nic_up = next_link();
    for (int gpu = 0; gpu < cluster_.gpus(); ++gpu)
      add_link(Tier::nic, gpu, leaf_vertex_of_gpu(gpu), cluster_.fabric.nic);
    graph_.nic_down = next_link();
    for (int gpu = 0; gpu < cluster_.gpus(); ++gpu)
      add_link(Tier::nic, leaf_vertex_of_gpu(gpu), gpu, cluster_.fabric.nic);
  }

  void add_uplinks(int rail, int leaf) {
    const BytesPerSecond cable = plan_.uplink_capacity(cluster_.fabric, leaf);
    const int cables = plan_.uplinks[static_cast<std::size_t>(leaf)];
    if (bundled()) return add_cable(rail, leaf, 0, cables * cable, fmt::format(" (bundle of {})", cables));
    for (int i = 0; i < cables; ++i)
      add_cable(rail, leaf, i % plan_.spines, cable,
                cables > plan_.spines ? fmt::format(" #{}", i / plan_.spines) : std::string{});
  }

  void add_cable(int rail, int leaf, int spine, BytesPerSecond capacity, const std::string& suffix) {
    add_link(Tier::spine, leaf_vertex(rail, leaf), graph_.first_spine + spine, capacity, suffix);
    add_link(Tier::spine, graph_.first_spine + spine, leaf_vertex(rail, leaf), capacity, suffix);
  }

  const ClusterSpec& cluster_;
  const FabricPlan& plan_;
  ClusterGraph graph_;
};

}  // namespace

FabricPlan plan_fabric(const ClusterSpec& cluster) {
  check(cluster);
  FabricPlan plan;
  plan.leaf_of_node.assign(static_cast<std::size_t>(cluster.nodes), 0);
  if (cluster.nodes == 1) return plan;
  plan.leaves_per_rail = ceil_div(cluster.nodes, down_ports(cluster.fabric));
  plan.nodes_on_leaf.assign(static_cast<std::size_t>(plan.leaves_per_rail), 0);
  for (int node = 0; node < cluster.nodes; ++node) {
    const int leaf = static_cast<int>(static_cast<long long>(node) * plan.leaves_per_rail / cluster.nodes);
    plan.leaf_of_node[static_cast<std::size_t>(node)] = leaf;
    ++plan.nodes_on_leaf[static_cast<std::size_t>(leaf)];
  }
  plan.uplinks.assign(static_cast<std::size_t>(plan.leaves_per_rail), 0);
  const bool rails_meet_in_spine = cluster.rails == RailPolicy::spine && cluster.gpus_per_node > 1;
  if (plan.leaves_per_rail == 1 && !rails_meet_in_spine) return plan;
  for (std::size_t leaf = 0; leaf < plan.uplinks.size(); ++leaf)
    plan.uplinks[leaf] = uplinks_for(plan.nodes_on_leaf[leaf], cluster.fabric.oversubscription);
  plan.spines = spines_for(cluster, plan);
  return plan;
}

ClusterGraph build_graph(const ClusterSpec& cluster, const FabricPlan& plan) {
  return Builder{cluster, plan}.build();
}

}  // namespace moesim
