#include <algorithm>
#include <cmath>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "models/units/text.hpp"
#include "sim/cli/command_topo.hpp"
#include "sim/scenario/remarks.hpp"

namespace moesim {
namespace {

using Json = nlohmann::ordered_json;

/// What the network assumes, and how its cluster was taken.
std::vector<std::string> notes_on(const ClusterSpec& cluster, const Topology& topology) {
  std::vector<std::string> notes = topology.notes();
  for (std::string& remark : cluster_remarks(cluster)) notes.push_back(std::move(remark));
  return notes;
}

struct ExampleRoute {
  const char* kind;
  int src, dst;
};

/// Only those that the cluster has.
std::vector<ExampleRoute> example_routes(const Topology& topology) {
  const int first = topology.gpus_of_node(0);
  std::vector<ExampleRoute> routes;
  if (first > 1) routes.push_back({"same_node", 0, 1});
  if (topology.nodes() > 1) routes.push_back({"same_rail", 0, first});
  if (topology.nodes() > 1 && topology.gpus_of_node(1) > 1) routes.push_back({"other_rail", 0, first + 1});
  if (topology.leaves_per_rail() > 1) routes.push_back({"other_leaf", 0, topology.first_gpu(topology.nodes() - 1)});
  return routes;
}

const Link& link_of(const Topology& topology, LinkId id) {
  return topology.links()[static_cast<std::size_t>(id)];
}
const std::string& vertex_name(const Topology& topology, int vertex) {
  return topology.vertices()[static_cast<std::size_t>(vertex)].name;
}

int count(const Topology& topology, VertexKind kind) {
  int found = 0;
  for (const Vertex& vertex : topology.vertices()) found += vertex.kind == kind ? 1 : 0;
  return found;
}

/// The way out of the first node of each kind, to all others; none for a single node.
std::vector<BytesPerSecond> node_cuts(const ClusterSpec& cluster, const Topology& topology) {
  std::vector<BytesPerSecond> cuts;
  if (topology.nodes() == 1) return cuts;
  int node = 0;
  for (const NodeGroup& group : node_groups(cluster)) {
    std::vector<int> own, others;
    const int first = topology.first_gpu(node), end = first + topology.gpus_of_node(node);
    for (int gpu = 0; gpu < topology.gpus(); ++gpu) (gpu >= first && gpu < end ? own : others).push_back(gpu);
    cuts.push_back(topology.min_cut(own, others));
    node += group.count;
  }
  return cuts;
}

std::string node_cut_text(const std::vector<BytesPerSecond>& cuts) {
  if (cuts.empty()) return {};
  const auto [least, most] = std::minmax_element(cuts.begin(), cuts.end());
  return *least == *most ? fmt::format("out of a node {}\n", human(*least))
                         : fmt::format("out of a node {} to {}, by its kind\n", human(*least), human(*most));
}

struct NamedCollective {
  const char* name;
  const CollectiveParameters& parameters;
  bool crosses_nics = true;
};
std::vector<NamedCollective> collectives_of(const Gpu& gpu) {
  return {{"dispatch", gpu.dispatch},
          {"combine", gpu.combine},
          {"dispatch_normal", gpu.dispatch_normal},
          {"combine_normal", gpu.combine_normal},
          {"dispatch_one_sided", gpu.dispatch_one_sided, false},
          {"combine_one_sided", gpu.combine_one_sided, false},
          {"all_to_all", gpu.all_to_all},
          {"all_reduce", gpu.all_reduce},
          {"all_gather", gpu.all_gather}};
}

std::string switches_text(const ClusterSpec& cluster, const Topology& topology) {
  const int leaves = count(topology, VertexKind::leaf), spines = count(topology, VertexKind::spine);
  if (leaves == 0) return fmt::format("{} routers", count(topology, VertexKind::router));
  std::string text = fmt::format(
      "{} per rail ({} in all)",
      topology.leaves_per_rail() == 1 ? "1 leaf" : fmt::format("{} leaves", topology.leaves_per_rail()), leaves);
  if (cluster.fabric.kind == FabricKind::fat_tree) text = fmt::format("{} leaves", leaves);
  if (spines == 0) return text + ", no spine needed";
  text += cluster.spread == SpreadPolicy::spray && spines == 1 ? ", spines as one" : fmt::format(", {} spines", spines);
  const int cores = count(topology, VertexKind::core);
  return cores > 0 ? text + fmt::format(", {} cores", cores) : text;
}

std::string fabric_text(const ClusterSpec& cluster, const Topology& topology) {
  if (topology.fabric() == FabricKind::single_node) return "one node, no NICs in use\n";
  const FabricSpec& fabric = cluster.fabric;
  if (fabric.kind == FabricKind::graph) return fmt::format("graph, {}\n", switches_text(cluster, topology));
  return fmt::format("{}, NIC {}, switches of {} ports{}, oversubscription {}, {}\n", name_of(fabric.kind),
                     human(fabric.nic), fabric.switch_ports,
                     fabric.switch_name.empty() ? "" : " (" + fabric.switch_name + ")", fabric.oversubscription,
                     switches_text(cluster, topology));
}

std::string routes_text(const Topology& topology) {
  std::string text = "\nroutes\n";
  for (const ExampleRoute& route : example_routes(topology)) {
    std::string kind = route.kind;
    kind[kind.find('_')] = ' ';
    text += fmt::format("  {:<12}{}", kind, vertex_name(topology, route.src));
    for (LinkId id : topology.route(route.src, route.dst))
      text += " -> " + vertex_name(topology, link_of(topology, id).to);
    text += "\n";
  }
  return text;
}

/// "32 x h100-sxm (4 nodes x 8)", by group where nodes differ.
std::string gpus_text(const ClusterSpec& cluster) {
  std::string text;
  for (const NodeGroup& group : node_groups(cluster))
    text += fmt::format("{}{} x {} ({} {} x {})", text.empty() ? "" : " + ",
                        with_commas(group.count * group.gpus_per_node), group.gpu.name.empty() ? "GPU" : group.gpu.name,
                        group.count, group.count == 1 ? "node" : "nodes", group.gpus_per_node);
  return text;
}

std::string achieved_text(const ClusterSpec& cluster, const Topology& topology) {
  if (cluster.gpu.name.empty()) return "\nachieved shares: give --gpu\n";
  const bool pcie = cluster.gpu.links == NodeLinks::pcie;
  std::string text = fmt::format("\n{:<22}{:>12}{:>12}{:>12}{:>12}\n", "achieved", pcie ? "PCIe" : "NVLink", "latency",
                                 "NIC", "latency");
  for (const auto& [name, p, crosses_nics] : collectives_of(cluster.gpu)) {
    const auto share = [](double efficiency) { return fmt::format("{:.0f} %", 100 * efficiency); };
    const bool inter = topology.nodes() > 1 && crosses_nics;
    text += fmt::format("  {:<20}{:>12}{:>12}{:>12}{:>12}   {}\n", name, share(p.of_group(inter).nvlink_efficiency),
                        human(p.latency_intra), inter ? share(p.nic_efficiency) : "-",
                        inter ? human(p.latency_inter) : "-", p.source.substr(0, p.source.find_first_of(": ")));
  }
  return text;
}

}  // namespace

std::string topology_text(const ClusterSpec& cluster, const Topology& topology) {
  std::string text =
      fmt::format("{} · rails {} · spread {}\n", gpus_text(cluster), name_of(cluster.rails), name_of(cluster.spread)) +
      fabric_text(cluster, topology) + fmt::format("\n{:<14}{:>10}{:>14}\n", "tier", "links", "capacity");
  for (const TierCapacity& tier : topology.capacity_per_tier())
    if (tier.links > 0)
      text += fmt::format("  {:<12}{:>10}{:>14}\n", name_of(tier.tier), with_commas(tier.links), human(tier.total));
  text += fmt::format("\nbisection     {}\n", human(topology.bisection()));
  text += node_cut_text(node_cuts(cluster, topology)) + achieved_text(cluster, topology);
  if (topology.gpus() > 1) text += routes_text(topology);
  for (const std::string& note : notes_on(cluster, topology)) text += fmt::format("note: {}\n", note);
  return text;
}

namespace {

Json fabric_json(const ClusterSpec& cluster, const Topology& topology) {
  if (topology.fabric() == FabricKind::single_node) return nullptr;
  const FabricSpec& fabric = cluster.fabric;
  return {{"kind", name_of(fabric.kind)},
          {"nic_bytes_per_s", fabric.nic.value() > 0 ? Json(fabric.nic.value()) : Json(nullptr)},
          {"oversubscription", fabric.oversubscription},
          {"switch", fabric.switch_name.empty() ? Json(nullptr) : Json(fabric.switch_name)},
          {"switch_ports", fabric.switch_ports},
          {"leaves_per_rail", topology.leaves_per_rail()},
          {"leaves", count(topology, VertexKind::leaf)},
          {"spines", count(topology, VertexKind::spine)},
          {"cores", count(topology, VertexKind::core)},
          {"routers", count(topology, VertexKind::router)}};
}

/// NICs of a node that carry traffic: those that are drawn as parts, else the links by which its GPUs leave it.
std::ptrdiff_t nics_in_use(const Topology& topology, int node, int stated) {
  const auto& vertices = topology.vertices();
  const auto of_node = [&](int v) { return vertices[static_cast<std::size_t>(v)].node == node; };
  const auto parts = std::count_if(vertices.begin(), vertices.end(), [&](const Vertex& vertex) {
    return vertex.node == node && vertex.kind == VertexKind::nic;
  });
  if (parts > 0) return parts;
  const auto& links = topology.links();
  const auto used = std::count_if(links.begin(), links.end(),
                                  [&](const Link& link) { return link.tier == Tier::nic && of_node(link.from); });
  return used > 0 && stated > 0 ? stated : used;  // several may be joined into one link
}

/// What each kind of node is made of.
Json node_kinds_json(const ClusterSpec& cluster, const Topology& topology) {
  Json kinds = Json::array();
  const std::vector<BytesPerSecond> cuts = node_cuts(cluster, topology);
  int node = 0;
  for (const NodeGroup& group : node_groups(cluster)) {
    const auto parts = [&](VertexKind kind) {
      return std::count_if(topology.vertices().begin(), topology.vertices().end(),
                           [&](const Vertex& vertex) { return vertex.node == node && vertex.kind == kind; });
    };
    kinds.push_back({{"nodes", group.count},
                     {"gpu", group.gpu.name.empty() ? Json(nullptr) : Json(group.gpu.name)},
                     {"gpus_per_node", group.gpus_per_node},
                     {"node_links", group.shape ? Json(nullptr) : Json(name_of(group.links))},
                     {"nvswitches", parts(VertexKind::nvswitch)},
                     {"pcie_switches", parts(VertexKind::pcie_switch)},
                     {"root_complexes", parts(VertexKind::root_complex)},
                     {"nics", nics_in_use(topology, node, group.nics_per_node)},
                     {"cut_bytes_per_s", cuts.empty() ? Json(nullptr) : Json(cuts[kinds.size()].value())}});
    node += group.count;
  }
  return kinds;
}

Json routes_json(const Topology& topology) {
  Json routes = Json::array();
  for (const ExampleRoute& example : example_routes(topology)) {
    Json links = Json::array();
    for (LinkId id : topology.route(example.src, example.dst)) {
      const Link& link = link_of(topology, id);
      links.push_back(
          {{"name", link.name}, {"tier", name_of(link.tier)}, {"capacity_bytes_per_s", link.capacity.value()}});
    }
    routes.push_back({{"kind", example.kind},
                      {"from", vertex_name(topology, example.src)},
                      {"to", vertex_name(topology, example.dst)},
                      {"links", links}});
  }
  return routes;
}

/// Microseconds without the last bits of the conversion.
double microseconds(Seconds time) {
  return std::round(time.value() * 1e12) / 1e6;
}

Json achieved_json(const Gpu& gpu) {
  Json achieved = Json::object();
  for (const auto& [name, p, crosses_nics] : collectives_of(gpu))
    achieved[name] = {{"nvlink_share", p.nvlink_efficiency},
                      {"nvlink_share_inter", p.nvlink_efficiency_inter},
                      {"nic_share", crosses_nics ? Json(p.nic_efficiency) : Json(nullptr)},
                      {"latency_intra_us", microseconds(p.latency_intra)},
                      {"latency_inter_us", crosses_nics ? Json(microseconds(p.latency_inter)) : Json(nullptr)},
                      {"latency_per_peer_us", microseconds(p.latency_per_peer)},
                      {"source", p.source}};
  return achieved;
}

}  // namespace

std::string topology_json(const ClusterSpec& cluster, const Topology& topology) {
  Json tiers = Json::array();
  for (const TierCapacity& tier : topology.capacity_per_tier())
    tiers.push_back(
        {{"tier", name_of(tier.tier)}, {"links", tier.links}, {"capacity_bytes_per_s", tier.total.value()}});
  const std::vector<BytesPerSecond> cuts = node_cuts(cluster, topology);
  const bool named = !cluster.gpu.name.empty();
  const Json document{{"gpu", named ? Json(cluster.gpu.name) : Json(nullptr)},
                      {"gpus", topology.gpus()},
                      {"nodes", topology.nodes()},
                      {"gpus_per_node", topology.gpus_per_node()},
                      {"rails", name_of(cluster.rails)},
                      {"spread", name_of(cluster.spread)},
                      {"node_kinds", node_kinds_json(cluster, topology)},
                      {"nvlink_bytes_per_s", named ? Json(cluster.gpu.nvlink.value()) : Json(nullptr)},
                      {"fabric", fabric_json(cluster, topology)},
                      {"tiers", tiers},
                      {"bisection_bytes_per_s", topology.bisection().value()},
                      {"node_cut_bytes_per_s",
                       cuts.empty() ? Json(nullptr) : Json(std::min_element(cuts.begin(), cuts.end())->value())},
                      {"achieved", named ? achieved_json(cluster.gpu) : Json(nullptr)},
                      {"routes", routes_json(topology)},
                      {"notes", notes_on(cluster, topology)}};
  return document.dump(2);
}

}  // namespace moesim
