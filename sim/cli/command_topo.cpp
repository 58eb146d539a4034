// What a cluster's network is made of: tiers, cuts, example routes; as text, JSON, DOT or SVG.

#include <cmath>
#include <memory>
#include <numeric>
#include <optional>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "models/hardware/network_parts.hpp"
#include "models/hardware/topology.hpp"
#include "models/units/error.hpp"
#include "models/units/text.hpp"
#include "plots/topology_drawing.hpp"
#include "sim/cli/atomic_file.hpp"
#include "sim/cli/command.hpp"
#include "sim/cli/overrides.hpp"
#include "sim/scenario/scenario.hpp"

namespace moesim {
namespace {

using Json = nlohmann::ordered_json;

struct TopoOptions {
  std::string scenario, gpu, nic, switch_name, rails = "forward", spread = "ecmp", dot, svg;
  std::vector<std::string> set;
  int nodes = 1, gpus_per_node = 0;
  double oversubscription = 1;
};

template <typename Policy>
Policy policy_named(const std::string& name, const char* where, std::initializer_list<Policy> policies) {
  std::vector<std::string> names;
  for (Policy policy : policies) {
    if (name_of(policy) == name) return policy;
    names.emplace_back(name_of(policy));
  }
  throw InputError{where, fmt::format("'{}'", name), fmt::format("one of {}", fmt::join(names, ", ")),
                   nearest(name, names)};
}

/// A catalogue NIC, or a bandwidth with its unit.
BytesPerSecond nic_bandwidth(const std::string& text) {
  for (const NicPart& part : nic_parts())
    if (part.name == text) return part.bandwidth;
  return parse_bandwidth(text, "--nic");
}

ClusterSpec cluster_of_options(const TopoOptions& options) {
  ClusterSpec cluster;
  cluster.gpu = find_gpu(options.gpu, "--gpu");
  cluster.nodes = options.nodes;
  cluster.gpus_per_node = options.gpus_per_node > 0 ? options.gpus_per_node : cluster.gpu.gpus_per_node;
  cluster.fabric.kind = options.nodes == 1 ? FabricKind::single_node : FabricKind::rail_optimised;
  cluster.fabric.nic = options.nic.empty() ? cluster.gpu.nic : nic_bandwidth(options.nic);
  cluster.fabric.oversubscription = options.oversubscription;
  if (!options.switch_name.empty()) {
    cluster.fabric.switch_name = options.switch_name;
    cluster.fabric.switch_ports = find_switch(options.switch_name, "--switch").ports;
  }
  cluster.rails = policy_named(options.rails, "--rails", {RailPolicy::forward, RailPolicy::pxn, RailPolicy::spine});
  cluster.spread = policy_named(options.spread, "--spread", {SpreadPolicy::ecmp, SpreadPolicy::spray});
  return cluster;
}

ClusterSpec cluster_of(const TopoOptions& options) {
  if (options.scenario.empty() == options.gpu.empty())
    throw InputError{"topo", options.gpu.empty() ? "neither a scenario nor --gpu" : "a scenario and --gpu",
                     "one of them, as 'topo scenarios/quickstart.yaml' or 'topo --gpu h100-sxm --nodes 4'"};
  if (!options.gpu.empty()) return cluster_of_options(options);
  return load_scenario(options.scenario, parse_overrides(options.set)).cluster;
}

struct ExampleRoute {
  const char* kind;
  int src, dst;
};

/// Only those that the cluster has.
std::vector<ExampleRoute> example_routes(const Topology& topology) {
  const int per_node = topology.gpus_per_node();
  std::vector<ExampleRoute> routes;
  if (per_node > 1) routes.push_back({"same_node", 0, 1});
  if (topology.nodes() > 1) routes.push_back({"same_rail", 0, per_node});
  if (topology.nodes() > 1 && per_node > 1) routes.push_back({"other_rail", 0, per_node + 1});
  if (topology.leaves_per_rail() > 1) routes.push_back({"other_leaf", 0, topology.gpus() - per_node});
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

/// The way out of one node, to all others.
std::optional<BytesPerSecond> node_cut(const Topology& topology) {
  if (topology.nodes() == 1) return std::nullopt;
  std::vector<int> gpus(static_cast<std::size_t>(topology.gpus()));
  std::iota(gpus.begin(), gpus.end(), 0);
  const std::span<const int> all{gpus};
  const auto per_node = static_cast<std::size_t>(topology.gpus_per_node());
  return topology.min_cut(all.first(per_node), all.subspan(per_node));
}

struct NamedCollective {
  const char* name;
  const CollectiveParameters& parameters;
};
std::vector<NamedCollective> collectives_of(const Gpu& gpu) {
  return {{"dispatch", gpu.dispatch},
          {"combine", gpu.combine},
          {"all_reduce", gpu.all_reduce},
          {"all_gather", gpu.all_gather}};
}

std::string fabric_text(const ClusterSpec& cluster, const Topology& topology) {
  if (topology.leaves_per_rail() == 0) return "one node, no NICs in use\n";
  const int spines = count(topology, VertexKind::spine);
  return fmt::format(
      "rail-optimised, NIC {}, switches of {} ports{}, oversubscription {}, {} per rail ({} in all), {}\n",
      human(cluster.fabric.nic), cluster.fabric.switch_ports,
      cluster.fabric.switch_name.empty() ? "" : " (" + cluster.fabric.switch_name + ")",
      cluster.fabric.oversubscription,
      topology.leaves_per_rail() == 1 ? "1 leaf" : fmt::format("{} leaves", topology.leaves_per_rail()),
      count(topology, VertexKind::leaf),
      spines == 0                             ? "no spine needed"
      : cluster.spread == SpreadPolicy::spray ? "spines as one"
                                              : fmt::format("{} spines", spines));
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

std::string topology_text(const ClusterSpec& cluster, const Topology& topology) {
  std::string text = fmt::format("{} x {} ({} {} x {}) · rails {} · spread {}\n", with_commas(topology.gpus()),
                                 cluster.gpu.name, topology.nodes(), topology.nodes() == 1 ? "node" : "nodes",
                                 topology.gpus_per_node(), name_of(cluster.rails), name_of(cluster.spread)) +
                     fabric_text(cluster, topology) +
                     fmt::format("\n{:<14}{:>10}{:>14}\n", "tier", "links", "capacity");
  for (const TierCapacity& tier : topology.capacity_per_tier())
    text += fmt::format("  {:<12}{:>10}{:>14}\n", name_of(tier.tier), with_commas(tier.links), human(tier.total));
  text += fmt::format("\nbisection     {}\n", human(topology.bisection()));
  if (const auto cut = node_cut(topology)) text += fmt::format("out of a node {}\n", human(*cut));
  text += fmt::format("\n{:<14}{:>12}{:>12}{:>12}{:>12}\n", "achieved", "NVLink", "latency", "NIC", "latency");
  for (const auto& [name, p] : collectives_of(cluster.gpu)) {
    const auto share = [](double efficiency) { return fmt::format("{:.0f} %", 100 * efficiency); };
    const bool inter = topology.nodes() > 1;
    text += fmt::format("  {:<12}{:>12}{:>12}{:>12}{:>12}   {}\n", name, share(p.nvlink_efficiency),
                        human(p.latency_intra), inter ? share(p.nic_efficiency) : "-",
                        inter ? human(p.latency_inter) : "-", p.source.substr(0, p.source.find_first_of(": ")));
  }
  return topology.gpus() == 1 ? text : text + routes_text(topology);
}

Json fabric_json(const ClusterSpec& cluster, const Topology& topology) {
  if (topology.leaves_per_rail() == 0) return nullptr;
  const FabricSpec& fabric = cluster.fabric;
  return {{"nic_bytes_per_s", fabric.nic.value()},
          {"oversubscription", fabric.oversubscription},
          {"switch", fabric.switch_name.empty() ? Json(nullptr) : Json(fabric.switch_name)},
          {"switch_ports", fabric.switch_ports},
          {"leaves_per_rail", topology.leaves_per_rail()},
          {"leaves", count(topology, VertexKind::leaf)},
          {"spines", count(topology, VertexKind::spine)}};
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
  for (const auto& [name, p] : collectives_of(gpu))
    achieved[name] = {{"nvlink_share", p.nvlink_efficiency},
                      {"nic_share", p.nic_efficiency},
                      {"latency_intra_us", microseconds(p.latency_intra)},
                      {"latency_inter_us", microseconds(p.latency_inter)},
                      {"source", p.source}};
  return achieved;
}

Json topology_json(const ClusterSpec& cluster, const Topology& topology) {
  Json tiers = Json::array();
  for (const TierCapacity& tier : topology.capacity_per_tier())
    tiers.push_back(
        {{"tier", name_of(tier.tier)}, {"links", tier.links}, {"capacity_bytes_per_s", tier.total.value()}});
  const auto cut = node_cut(topology);
  return {{"gpu", cluster.gpu.name},
          {"gpus", topology.gpus()},
          {"nodes", topology.nodes()},
          {"gpus_per_node", topology.gpus_per_node()},
          {"rails", name_of(cluster.rails)},
          {"spread", name_of(cluster.spread)},
          {"nvlink_bytes_per_s", cluster.gpu.nvlink.value()},
          {"fabric", fabric_json(cluster, topology)},
          {"tiers", tiers},
          {"bisection_bytes_per_s", topology.bisection().value()},
          {"node_cut_bytes_per_s", cut ? Json(cut->value()) : Json(nullptr)},
          {"achieved", achieved_json(cluster.gpu)},
          {"routes", routes_json(topology)}};
}

void topo(const TopoOptions& options, const Globals& globals) {
  const ClusterSpec cluster = cluster_of(options);
  const Topology topology{cluster};
  if (!options.dot.empty()) write_file_atomically(options.dot, topology_dot(topology));
  if (!options.svg.empty()) write_file_atomically(options.svg, topology_svg(topology));
  if (globals.json)
    fmt::print("{}\n", topology_json(cluster, topology).dump(2));
  else
    fmt::print("{}", topology_text(cluster, topology));
}

}  // namespace

void add_topo_command(CLI::App& app, Globals& globals) {
  const auto options = std::make_shared<TopoOptions>();
  CLI::App* command = app.add_subcommand("topo", "Show and draw a cluster's network: tiers, cuts, routes");
  CLI::Option* scenario = command->add_option("scenario", options->scenario, "Scenario file (its cluster is shown)");
  command->add_option("--set", options->set, "Override one value of the scenario (repeatable)")
      ->needs(scenario)
      ->allow_extra_args(false);
  CLI::Option* gpu = command->add_option("--gpu", options->gpu, "A GPU of the catalogue, instead of a scenario");
  const auto with_gpu = [&](CLI::Option* option) { option->needs(gpu); };
  with_gpu(command->add_option("--nodes", options->nodes, "Nodes (default 1)"));
  with_gpu(command->add_option("--gpus-per-node", options->gpus_per_node, "GPUs of a node (default: the catalogue's)")
               ->check(CLI::PositiveNumber));
  with_gpu(command->add_option("--nic", options->nic, "Bandwidth as '400 Gb/s', or a NIC of the catalogue"));
  with_gpu(
      command->add_option("--switch", options->switch_name, "Leaf and spine switch of the catalogue (qm9700 ...)"));
  with_gpu(command->add_option("--oversubscription", options->oversubscription, "Leaf downlinks : uplinks, >= 1"));
  with_gpu(command->add_option("--rails", options->rails, "forward, pxn or spine"));
  with_gpu(command->add_option("--spread", options->spread, "ecmp or spray"));
  command->add_option("--dot", options->dot, "Write the graph for Graphviz");
  command->add_option("--svg", options->svg, "Write a drawing");
  add_common_options(*command, globals, "  moesim topo scenarios/deepseek_v3_decode_ep144.yaml --svg fabric.svg",
                     "  moesim topo --gpu h100-sxm --nodes 64 --nic '400 Gb/s' --oversubscription 2 --json");
  command->callback([options, &globals] { topo(*options, globals); });
}

}  // namespace moesim
