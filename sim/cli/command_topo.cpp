// What a cluster's network is made of: tiers, cuts, example routes; as text, JSON, DOT or SVG.

#include "sim/cli/command_topo.hpp"

#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "models/hardware/network_parts.hpp"
#include "models/units/error.hpp"
#include "models/units/text.hpp"
#include "plots/topology_drawing.hpp"
#include "sim/cli/atomic_file.hpp"
#include "sim/cli/command.hpp"
#include "sim/cli/overrides.hpp"
#include "sim/scenario/scenario.hpp"

namespace moesim {
namespace {

struct TopoOptions {
  std::string scenario, gpu, nic, switch_name, rails, spread, dot, svg;
  std::vector<std::string> set;
  std::string nodes, gpus_per_node, oversubscription, fabric, node_links;
  bool force = false;
};

/// A catalogue NIC as its bandwidth; what starts as a number does stands for itself.
std::string nic_bandwidth(const std::string& text) {
  constexpr std::string_view kNumberStart = "0123456789.+- ";
  if (text.empty() || kNumberStart.find(text.front()) != std::string_view::npos) return text;
  try {
    return to_text(find_nic(text, "--nic").bandwidth);
  } catch (const InputError& error) {
    throw InputError{error.where(), error.found(), "a bandwidth, as '400 Gb/s', or " + error.expected(), error.hint()};
  }
}

/// The options that stand for keys of a scenario's cluster, before --set.
std::vector<Override> overrides_of(const TopoOptions& options) {
  std::vector<Override> overrides;
  const auto put = [&](const char* key, const std::string& value) {
    if (!value.empty()) overrides.emplace_back(key, value);
  };
  put("cluster.gpu", options.gpu);
  put("cluster.nodes", options.nodes);
  put("cluster.gpus_per_node", options.gpus_per_node);
  put("cluster.node_links", options.node_links);
  put("cluster.fabric.kind", options.fabric);
  put("cluster.fabric.nic", nic_bandwidth(options.nic));
  put("cluster.fabric.oversubscription", options.oversubscription);
  put("communication.rails", options.rails);
  put("communication.spread", options.spread);
  if (!options.switch_name.empty())
    put("cluster.fabric.switch_ports", fmt::format("{}", find_switch(options.switch_name, "--switch").ports));
  for (Override& own : parse_overrides(options.set)) overrides.push_back(std::move(own));
  return overrides;
}

/// A scenario's cluster, an NCCL topology (*.xml), or what the options say.
ClusterSpec cluster_of(const TopoOptions& options) {
  if (options.scenario.empty() && options.gpu.empty())
    throw InputError{"topo", "neither a scenario nor --gpu",
                     "one of them, as 'topo scenarios/quickstart.yaml' or 'topo --gpu h100-sxm --nodes 4'"};
  if (!options.gpu.empty()) find_gpu(options.gpu, "--gpu");  // named as the option, not as the key it stands for
  std::vector<Override> overrides = overrides_of(options);
  const bool xml = options.scenario.ends_with(".xml");
  if (xml) overrides.emplace(overrides.begin(), "cluster.xml", options.scenario);
  ClusterSpec cluster = options.scenario.empty() || xml ? parse_cluster("cluster: {}\n", "topo", "", overrides)
                                                        : load_cluster(options.scenario, overrides);
  cluster.fabric.switch_name = options.switch_name;
  check_buildable(cluster);  // the named switch has its port speed too
  return cluster;
}

void topo(const TopoOptions& options, const Globals& globals) {
  check_outputs({{"--dot", options.dot}, {"--svg", options.svg}}, options.force);
  const ClusterSpec cluster = cluster_of(options);
  const Topology topology{cluster};
  if (!options.dot.empty()) write_file_atomically(options.dot, topology_dot(topology));
  if (!options.svg.empty()) write_file_atomically(options.svg, topology_svg(topology));
  if (globals.json)
    fmt::print("{}\n", topology_json(cluster, topology));
  else
    fmt::print("{}", topology_text(cluster, topology));
}

}  // namespace

void add_topo_command(CLI::App& app, Globals& globals) {
  const auto options = std::make_shared<TopoOptions>();
  CLI::App* command = app.add_subcommand("topo", "Show and draw a cluster's network: tiers, cuts, routes");
  command->add_option("scenario", options->scenario,
                      "Scenario file (its cluster is shown), or an NCCL topology of one node (*.xml)");
  command
      ->add_option("--set", options->set,
                   "Override one value of the cluster, as cluster.fabric.kind=torus (repeatable)")
      ->allow_extra_args(false);
  command->add_option("--gpu", options->gpu, "A GPU of the catalogue");
  command->add_option("--nodes", options->nodes, "Nodes (default 1)");
  command->add_option("--gpus-per-node", options->gpus_per_node, "GPUs of a node (default: the catalogue's)");
  command->add_option("--node-links", options->node_links, "nvswitch, mesh or pcie (default: the catalogue's)");
  command->add_option("--fabric", options->fabric, "A name of 'moesim list fabrics'");
  command->add_option("--nic", options->nic, "Bandwidth as '400 Gb/s', or a name of 'moesim list nics'");
  command->add_option("--switch", options->switch_name, "Leaf and spine switch, a name of 'moesim list switches'");
  command->add_option("--oversubscription", options->oversubscription, "Leaf downlinks : uplinks, >= 1");
  command->add_option("--rails", options->rails, "forward, pxn or spine");
  command->add_option("--spread", options->spread, "ecmp or spray");
  command->add_option("--dot", options->dot, "Write the graph for Graphviz");
  command->add_option("--svg", options->svg, "Write a drawing");
  command->add_flag("--force", options->force, "Replace the files of --dot and --svg");
  add_common_options(*command, globals, "  moesim topo scenarios/deepseek_v3_decode_ep144.yaml --svg fabric.svg",
                     "  moesim topo --gpu h100-sxm --nodes 64 --nic '400 Gb/s' --oversubscription 2 --json");
  command->callback([options, &globals] { topo(*options, globals); });
}

}  // namespace moesim
