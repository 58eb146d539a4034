#include <algorithm>

#include <fmt/format.h>

#include "models/hardware/nccl_xml.hpp"
#include "models/hardware/topology.hpp"
#include "models/units/error.hpp"
#include "models/units/text.hpp"
#include "sim/scenario/build.hpp"

namespace moesim {
namespace fs = std::filesystem;
namespace {

constexpr std::int64_t kMostGpus = 65536;

bool has_rails(FabricKind kind) {
  return kind == FabricKind::rail_optimised || kind == FabricKind::multi_rail || kind == FabricKind::rail_only;
}

int count_or(const Record& record, std::string_view field, int otherwise) {
  const RecordField* given = record.find(field);
  return given ? static_cast<int>(std::get<std::int64_t>(given->value)) : otherwise;
}

/// From settings to a ClusterSpec, filling in defaults on the way.
class ClusterReader {
public:
  ClusterReader(Settings& settings, const fs::path& folder) : settings_{settings}, folder_{folder} {}

  ClusterSpec read() {
    if (settings_.has("cluster.gpu"))
      cluster_.gpu = find_gpu(settings_.text("cluster.gpu"), settings_.where("cluster.gpu"));
    if (settings_.has("cluster.xml")) read_file();
    if (is_list("cluster.nodes")) read_groups();
    fill_node_defaults();
    read_nodes();
    read_fabric();
    read_degraded();
    return std::move(cluster_);
  }

private:
  bool is_list(std::string_view path) const { return std::holds_alternative<Records>(settings_.at(path).value); }
  bool given(std::string_view path) const {
    return settings_.has(path) && (settings_.at(path).origin == "input" || settings_.at(path).origin == "--set");
  }

  /// A node from a file: its GPUs, and its NICs unless cluster.fabric.nic says otherwise.
  void read_file() {
    for (const char* other : {"cluster.nics_per_node", "cluster.gpus_per_pcie_switch"})
      if (given(other))
        throw InputError{settings_.where(other), settings_.at(other).text,
                         "no such key beside cluster.xml, which says it"};
    if (is_list("cluster.nodes"))
      throw InputError{settings_.where("cluster.nodes"), "a list beside cluster.xml",
                       "an integer: every node is like the file"};
    NcclXmlOptions options{.gpu = cluster_.gpu, .links = std::nullopt};
    if (settings_.has("cluster.node_links")) options.links = settings_.choice<NodeLinks>("cluster.node_links");
    NodeShape node = load_nccl_xml(existing_file(settings_, "cluster.xml", folder_), options);
    if (settings_.has("cluster.fabric.nic"))
      for (NodeShape::Nic& nic : node.nics) nic.bandwidth = BytesPerSecond{settings_.number("cluster.fabric.nic")};
    settings_.fill("cluster.gpus_per_node", fmt::format("{}", node.gpus), "file");
    if (settings_.count("cluster.gpus_per_node") != node.gpus)
      throw InputError{settings_.where("cluster.gpus_per_node"), settings_.at("cluster.gpus_per_node").text,
                       fmt::format("{}, as in the file of cluster.xml", node.gpus)};
    cluster_.shape = std::make_shared<const NodeShape>(std::move(node));
  }

  void read_groups() {
    for (const Record& record : std::get<Records>(settings_.at("cluster.nodes").value)) {
      NodeGroup group{.gpu = cluster_.gpu};
      const RecordField* gpu = record.find("gpu");
      if (gpu) group.gpu = find_gpu(std::get<std::string>(gpu->value), gpu->where);
      const bool same = group.gpu.name == cluster_.gpu.name;
      group.count = count_or(record, "count", 1);
      group.gpus_per_node =
          count_or(record, "gpus_per_node",
                   given("cluster.gpus_per_node") ? settings_.count("cluster.gpus_per_node") : group.gpu.gpus_per_node);
      group.nics_per_node = count_or(record, "nics_per_node",
                                     given("cluster.nics_per_node") ? settings_.count("cluster.nics_per_node") : 0);
      group.nic = given("cluster.fabric.nic") ? BytesPerSecond{settings_.number("cluster.fabric.nic")} : group.gpu.nic;
      if (const RecordField* nic = record.find("nic")) group.nic = BytesPerSecond{std::get<double>(nic->value)};
      const bool links = same && given("cluster.node_links");
      group.links = links ? settings_.choice<NodeLinks>("cluster.node_links") : group.gpu.links;
      if (const RecordField* own = record.find("node_links"))
        group.links = static_cast<NodeLinks>(std::get<std::int64_t>(own->value));
      cluster_.groups.push_back(std::move(group));
    }
    cluster_.gpu = cluster_.groups.front().gpu;
  }

  void fill_node_defaults() {
    const Gpu& gpu = cluster_.gpu;
    settings_.fill("cluster.gpus_per_node",
                   fmt::format("{}", cluster_.groups.empty() ? gpu.gpus_per_node : cluster_.groups[0].gpus_per_node),
                   "catalogue");
    settings_.fill("cluster.price", fmt::format("{} USD/h", gpu.price_usd_per_hour), "catalogue");
    const bool one = cluster_.groups.empty() ? settings_.integer("cluster.nodes") == 1
                                             : cluster_.groups.size() == 1 && cluster_.groups[0].count == 1;
    settings_.fill("cluster.fabric.kind", one ? "single_node" : "rail-optimised", "default");
    if (gpu.nic.value() > 0) settings_.fill("cluster.fabric.nic", to_text(gpu.nic), "catalogue");
    const FabricKind kind = settings_.choice<FabricKind>("cluster.fabric.kind");
    const char* rails = has_rails(kind) || kind == FabricKind::single_node ? "forward" : "spine";
    if (settings_.choice<AllToAll>("communication.all_to_all") == AllToAll::hierarchical) rails = "pxn";
    settings_.fill("communication.rails", rails, "default");
    const bool whole = settings_.count("cluster.gpus_per_node") == gpu.gpus_per_node && !cluster_.shape;
    if (has_rails(kind) && whole && gpu.rails > 0)
      settings_.fill("cluster.fabric.rails", fmt::format("{}", gpu.rails), "catalogue");
  }

  std::int64_t node_count() const {
    if (cluster_.groups.empty()) return settings_.integer("cluster.nodes");
    std::int64_t sum = 0;
    for (const NodeGroup& group : cluster_.groups) sum += group.count;
    return sum;
  }

  void read_nodes() {
    std::int64_t gpus = node_count() * settings_.integer("cluster.gpus_per_node");
    if (!cluster_.groups.empty()) gpus = 0;
    for (const NodeGroup& group : cluster_.groups) gpus += static_cast<std::int64_t>(group.count) * group.gpus_per_node;
    if (gpus > kMostGpus)
      throw InputError{settings_.where("cluster.nodes"), settings_.at("cluster.nodes").text,
                       fmt::format("at most {} GPUs in all", kMostGpus)};
    cluster_.nodes = static_cast<int>(node_count());
    cluster_.gpus_per_node =
        cluster_.groups.empty() ? settings_.count("cluster.gpus_per_node") : cluster_.groups.front().gpus_per_node;
    if (settings_.has("cluster.nics_per_node")) cluster_.nics_per_node = settings_.count("cluster.nics_per_node");
    if (settings_.has("cluster.node_links")) cluster_.links = settings_.choice<NodeLinks>("cluster.node_links");
    cluster_.gpus_per_pcie_switch = settings_.count("cluster.gpus_per_pcie_switch");
    cluster_.price_usd_per_gpu_hour = settings_.number("cluster.price");
  }

  int count(std::string_view path, int otherwise) const {
    return settings_.has(path) ? settings_.count(path) : otherwise;
  }

  void read_fabric() {
    FabricSpec& fabric = cluster_.fabric;
    fabric.kind = settings_.choice<FabricKind>("cluster.fabric.kind");
    if (settings_.has("cluster.fabric.nic")) fabric.nic = BytesPerSecond{settings_.number("cluster.fabric.nic")};
    fabric.oversubscription = settings_.number("cluster.fabric.oversubscription");
    fabric.switch_ports = settings_.count("cluster.fabric.switch_ports");
    fabric.rails = count("cluster.fabric.rails", 0);
    if (fabric.rails > 0 && !has_rails(fabric.kind))
      throw InputError{settings_.where("cluster.fabric.rails"), settings_.at("cluster.fabric.rails").text,
                       fmt::format("no such key with cluster.fabric.kind {}", name_of(fabric.kind))};
    fabric.planes = count("cluster.fabric.planes", 2);
    fabric.tiers = count("cluster.fabric.tiers", 2);
    fabric.groups = count("cluster.fabric.groups", 0);
    fabric.routers = count("cluster.fabric.routers", 0);
    fabric.global_links = count("cluster.fabric.global_links", 0);
    fabric.width = count("cluster.fabric.width", 0);
    if (settings_.has("cluster.fabric.link")) fabric.link = BytesPerSecond{settings_.number("cluster.fabric.link")};
    cluster_.rails = settings_.choice<RailPolicy>("communication.rails");
    cluster_.spread = settings_.choice<SpreadPolicy>("communication.spread");
    if (fabric.kind == FabricKind::single_node && cluster_.nodes > 1)
      throw InputError{settings_.where("cluster.fabric.kind"), fmt::format("single_node with {} nodes", cluster_.nodes),
                       "a network between the nodes", "rail-optimised"};
    if (fabric.kind == FabricKind::graph) read_graph();
  }

  void read_graph() {
    GraphSpec& graph = cluster_.fabric.graph;
    graph.where = settings_.where("cluster.fabric.links");
    if (settings_.has("cluster.fabric.vertices"))
      for (const Record& record : std::get<Records>(settings_.at("cluster.fabric.vertices").value))
        graph.switches.push_back({std::get<std::string>(record.fields.front().value), record.where});
    for (const Record& record : std::get<Records>(settings_.at("cluster.fabric.links").value)) {
      GraphSpec::Cable cable{
          std::get<std::string>(record.find("from")->value), std::get<std::string>(record.find("to")->value),
          BytesPerSecond{std::get<double>(record.find("bandwidth")->value)}, std::nullopt, record.where};
      if (const RecordField* tier = record.find("tier"))
        cable.tier = static_cast<Tier>(std::get<std::int64_t>(tier->value));
      graph.cables.push_back(std::move(cable));
    }
  }

  void read_degraded() {
    const auto read = [&](std::string_view path, auto& list) {
      if (!settings_.has(path)) return;
      for (const Record& record : std::get<Records>(settings_.at(path).value))
        list.push_back({std::get<std::string>(record.find("name")->value),
                        std::get<double>(record.find("factor")->value), record.where});
    };
    read("cluster.links", cluster_.degraded);
    read("cluster.slow_gpus", cluster_.slow_gpus);
  }

  Settings& settings_;
  const fs::path& folder_;
  ClusterSpec cluster_;
};

/// "cluster.fabric.width" as "file:line:column: cluster.fabric.width"; what has a place keeps it.
std::string placed(const Settings& settings, const std::string& where) {
  return find_key(where) ? settings.where(where) : where;
}

}  // namespace

ClusterSpec read_cluster(Settings& settings, const fs::path& folder) {
  try {
    ClusterSpec cluster = ClusterReader{settings, folder}.read();
    check_buildable(cluster);
    return cluster;
  } catch (const NotModelledYet& error) {
    throw NotModelledYet{placed(settings, error.where()), error.found(), error.expected()};
  } catch (const InputError& error) {
    throw InputError{placed(settings, error.where()), error.found(), error.expected(), error.hint()};
  }
}

}  // namespace moesim
