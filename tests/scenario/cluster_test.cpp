// The cluster section: nodes of several kinds, fabrics, graphs, files of a node.

#include <fstream>

#include <nlohmann/json.hpp>

#include "tests/catch_compat.hpp"
#include "tests/scenario/small_scenario.hpp"
#include "tests/scenario/yaml_to_json.hpp"
#include "tests/temporary_folder.hpp"

using namespace moesim;
using namespace moesim::testing;

namespace {

/// A scenario of 8 GPUs with this cluster section.
std::string with_cluster(const std::string& cluster) {
  return "model: mixtral-8x7b\ncluster: " + cluster + "\nworkload: {tokens_per_gpu: 64}\n";
}

const std::string kGraph =
    "model: mixtral-8x7b\n"
    "cluster:\n"
    "  gpu: h100-sxm\n"
    "  nodes: 2\n"
    "  gpus_per_node: 4\n"
    "  fabric:\n"
    "    kind: graph\n"
    "    vertices: [left, right]\n"
    "    links:\n"
    "      - {from: n0g0, to: left, bandwidth: 400 Gb/s}\n"
    "      - {from: n1g0, to: right, bandwidth: 400 Gb/s}\n"
    "      - {from: left, to: right, bandwidth: 1 TB/s, tier: nic}\n"
    "workload: {tokens_per_gpu: 64}\n";

std::string graph_with(const std::string& from, const std::string& to) {
  std::string text = kGraph;
  const std::size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

std::string origin_of(const Scenario& scenario, const std::string& path) {
  for (const ResolvedValue& item : scenario.resolved)
    if (item.path == path) return item.origin;
  return "missing";
}

}  // namespace

TEST_CASE("Groups of nodes take what they do not say from the cluster and the catalogue", "[scenario]") {
  const ClusterSpec cluster =
      parse(with_cluster(
                "{gpu: h100-sxm, gpus_per_node: 4, nodes: [{count: 1}, {count: 1, nics_per_node: 2, nic: 200 Gb/s}]}"))
          .cluster;
  REQUIRE(cluster.groups.size() == 2);
  CHECK(cluster.nodes == 2);
  CHECK(cluster.gpus() == 8);
  CHECK(cluster.groups[0].gpus_per_node == 4);
  CHECK(cluster.groups[0].nic.value() == 50e9);
  CHECK(cluster.groups[1].nic.value() == 25e9);
  CHECK(cluster.groups[1].nics_per_node == 2);
  CHECK(cluster.groups[1].links == NodeLinks::nvswitch);
  const ClusterSpec mixed =
      parse_cluster("cluster: {gpu: h100-sxm, nodes: [{count: 2}, {count: 1, gpu: l40s}]}", "s.yaml", "");
  CHECK(mixed.gpus() == 24);
  CHECK(gpu_of(mixed, 16).name == "l40s");
  CHECK(mixed.groups[1].links == NodeLinks::pcie);
  CHECK(mixed.groups[1].nic.value() == 25e9);  // the catalogue's of an L40S
  CHECK(mixed.groups[1].gpus_per_node == 8);
}

TEST_CASE("Mistakes in a list are refused at the item", "[scenario]") {
  const auto nodes = [](const std::string& list) {
    return refusal(with_cluster("{gpu: h100-sxm, nodes: " + list + "}"));
  };
  CHECK(nodes("[]") ==
        "s.yaml:2:33: cluster.nodes: got an empty list, expected an integer from 1 to 65536, or a list of maps");
  CHECK(nodes("[1]") ==
        "s.yaml:2:34: cluster.nodes: got 1, expected a map with count, gpu, gpus_per_node, nics_per_node, nic, "
        "node_links");
  CHECK(nodes("[{gpu: h100-sxm}]") ==
        "s.yaml:2:34: cluster.nodes: got no count, expected count: an integer from 1 to 65536");
  CHECK(nodes("[{count: 0}]") == "s.yaml:2:42: cluster.nodes.count: got 0, expected an integer from 1 to 65536");
  CHECK(
      nodes("[{cout: 1}]").find("s.yaml:2:34: cluster.nodes: got the unknown key 'cout', expected one of count, gpu") ==
      0);
  CHECK(nodes("[{count: 1, gpu: h100}]")
            .find("s.yaml:2:50: cluster.nodes.gpu: got 'h100', expected a GPU of the catalogue") == 0);
  CHECK(nodes("[{count: 60000}, {count: 60000}]").find("expected at most 65536 GPUs in all") != std::string::npos);
  CHECK(nodes("{count: 1}") ==
        "s.yaml:2:33: cluster.nodes: got a map, expected an integer from 1 to 65536, or a list of maps");
}

TEST_CASE("A custom graph is read as written, and its resolved form is the same", "[scenario]") {
  const Scenario scenario = parse(kGraph);
  const GraphSpec& graph = scenario.cluster.fabric.graph;
  REQUIRE(graph.switches.size() == 2);
  CHECK(graph.switches[1].name == "right");
  REQUIRE(graph.cables.size() == 3);
  CHECK(graph.cables[0].bandwidth.value() == 50e9);
  CHECK(!graph.cables[0].tier);
  CHECK(graph.cables[2].tier == Tier::nic);
  CHECK(scenario.cluster.rails == RailPolicy::spine);
  CHECK(origin_of(scenario, "communication.rails") == "default");
  const Scenario again = parse(resolved_yaml(scenario));
  CHECK(scenario_hash(again) == scenario_hash(scenario));
  CHECK(again.cluster.fabric.graph.cables[2].to == "right");
}

TEST_CASE("A graph with a mistake is refused with line and column", "[scenario]") {
  CHECK(refusal(kGraph) == "");
  CHECK(refusal(graph_with("to: left", "to: lefd")) ==
        "s.yaml:10:9: cluster.fabric.links: got the unknown vertex 'lefd', expected a name of cluster.fabric.vertices, "
        "or "
        "a GPU, as n0g0; did you mean left?");
  CHECK(refusal(graph_with("bandwidth: 400 Gb/s", "bandwidth: -400 Gb/s"))
            .find("s.yaml:10:43: cluster.fabric.links.bandwidth: got") == 0);
  CHECK(refusal(graph_with("{from: n1g0, to: right", "{from: left, to: n0g0")) ==
        "s.yaml:11:9: cluster.fabric.links: got a second link between 'left' and 'n0g0', expected one link with the "
        "bandwidth of both");
  CHECK(refusal(graph_with("{from: left, to: right", "{from: left, to: n0g1")) ==
        "s.yaml:10:7: cluster.fabric.links: got no path from n0g0 to n1g0, expected a connected graph");
  CHECK(refusal(graph_with("[left, right]", "[left, left]")) ==
        "s.yaml:8:22: cluster.fabric.vertices: got 'left' again, expected a name that no other vertex has");
  CHECK(refusal(graph_with("from: n0g0, ", "")) ==
        "s.yaml:10:9: cluster.fabric.links: got no from, expected from: text");
  CHECK(refusal(graph_with("kind: graph", "kind: torus"))
            .find("no such key with cluster.fabric.kind torus (only with graph)") != std::string::npos);
}

TEST_CASE("Fabrics fill in what depends on them", "[scenario]") {
  const ClusterSpec torus =
      parse(with_cluster("{gpu: h100-sxm, nodes: 4, gpus_per_node: 2, fabric: {kind: torus, width: 2, link: 10 GB/s}}"))
          .cluster;
  CHECK(torus.fabric.kind == FabricKind::torus);
  CHECK(torus.fabric.width == 2);
  CHECK(torus.fabric.link.value() == 10e9);
  CHECK(torus.rails == RailPolicy::spine);
  const ClusterSpec rack = parse_cluster("cluster: {gpu: gb200-nvl72, nodes: 2}", "s.yaml", "");
  CHECK(rack.gpus() == 144);
  CHECK(rack.fabric.rails == 4);
  CHECK(rack.rails == RailPolicy::forward);
  CHECK(parse_cluster("cluster: {gpu: mi300x}", "s.yaml", "").links == std::nullopt);
}

TEST_CASE("Keys of one fabric are refused with another", "[scenario]") {
  const auto four = [](const std::string& fabric) {
    return refusal(with_cluster("{gpu: h100-sxm, nodes: 4, gpus_per_node: 2, fabric: {" + fabric + "}}"));
  };
  CHECK(four("kind: fat-tree, planes: 2") ==
        "s.yaml:2:87: cluster.fabric.planes: got 2, expected no such key with cluster.fabric.kind fat-tree (only with "
        "multi-rail)");
  CHECK(four("tiers: 3") ==
        "s.yaml:2:70: cluster.fabric.tiers: got 3, expected no such key without cluster.fabric.kind (only with "
        "fat-tree)");
  CHECK(four("kind: torus, rails: 2") ==
        "s.yaml:2:83: cluster.fabric.rails: got 2, expected no such key with cluster.fabric.kind torus");
  CHECK(four("kind: torus, width: 3") ==
        "s.yaml:2:83: cluster.fabric.width: got 3, expected a divisor of the 4 nodes; did you mean 2 or 4?");
  CHECK(four("kind: dragonfly, groups: 2").find("cluster.fabric.routers: got nothing") != std::string::npos);
  CHECK(refusal(with_cluster(
                    "{gpu: h100-sxm, nodes: 4, gpus_per_node: 2, fabric: {kind: dragonfly, groups: 2, routers: 2}}") +
                "communication: {spread: spray}\n") ==
        "s.yaml:4:25: communication.spread: spray on a dragonfly fabric is not modelled yet; use ecmp");
}

TEST_CASE("A slow GPU is refused where it is named when it is not there", "[scenario]") {
  const auto slow = [](const std::string& list) {
    return with_cluster("{gpu: h100-sxm, nodes: 2, gpus_per_node: 4, slow_gpus: " + list + "}");
  };
  const Scenario scenario = parse(slow("[{name: n1g2, factor: 0.5}]"));
  CHECK(gpu_speeds(scenario.cluster) == std::vector<double>{1, 1, 1, 1, 1, 1, 0.5, 1});
  CHECK(resolved_yaml(scenario).find("  slow_gpus: [{name: \"n1g2\", factor: 0.5}]  # input\n") != std::string::npos);
  CHECK(gpu_speeds(parse(with_cluster("{gpu: h100-sxm}")).cluster).empty());
  CHECK(refusal(slow("[{name: n0g4, factor: 0.5}]")) ==
        "s.yaml:2:66: cluster.slow_gpus: got n0g4, expected a GPU of this cluster: n0g0 to n1g3");
  CHECK(refusal(slow("[{name: node1-GPU2, factor: 0.5}]")) ==
        "s.yaml:2:66: cluster.slow_gpus: got node1-GPU2, expected a GPU of this cluster: n0g0 to n1g3; did you mean "
        "n1g2?");
  CHECK(refusal(slow("[{name: n0g1, factor: 0.5}, {name: n0g1, factor: 0.6}]")) ==
        "s.yaml:2:93: cluster.slow_gpus: got n0g1 twice, expected every slow GPU once");
  CHECK(refusal(slow("[{name: n0g1, factor: 1.5}]")) ==
        "s.yaml:2:87: cluster.slow_gpus.factor: got 1.5, expected a number from 1e-06 to 1");
  CHECK(refusal(slow("[{name: n0g1}]")) ==
        "s.yaml:2:66: cluster.slow_gpus: got no factor, expected factor: a number from 1e-06 to 1");
}

TEST_CASE("A degraded link is refused where it is named when it is not there", "[scenario]") {
  const std::string cluster =
      "{gpu: h100-sxm, nodes: 2, gpus_per_node: 4, links: [{name: n0g1 -> leaf1.0, factor: 0.5}]}";
  CHECK(parse(with_cluster(cluster)).cluster.degraded[0].factor == 0.5);
  CHECK(
      refusal(with_cluster(cluster), {{"cluster.links", "[{name: n0g9 -> leaf1.0, factor: 0.5}]"}})
          .find("--set cluster.links=[{name: n0g9 -> leaf1.0, factor: 0.5}]: got the unknown link 'n0g9 -> leaf1.0'") ==
      0);
  CHECK(refusal(with_cluster("{gpu: h100-sxm, links: [{name: a, factor: 2}]}")) ==
        "s.yaml:2:52: cluster.links.factor: got 2, expected a number from 1e-06 to 1");
}

TEST_CASE("A node may come from an NCCL file beside the scenario", "[scenario]") {
  const TemporaryFolder temporary;
  const auto folder = temporary.path();
  std::ofstream{folder / "node.xml"}
      << "<system><cpu><pci busid=\"a\" class=\"0x030200\" link_speed=\"32 GT/s\" link_width=\"16\"/>"
         "<pci busid=\"b\" class=\"0x030200\" link_speed=\"32 GT/s\" link_width=\"16\"/>"
         "<pci busid=\"n\" class=\"0x020000\" link_speed=\"32 GT/s\" link_width=\"16\"/></cpu></system>";
  const auto read = [&](const std::string& cluster) { return parse_cluster("cluster: " + cluster, "s.yaml", folder); };
  const ClusterSpec cluster =
      read("{gpu: h100-sxm, nodes: 4, xml: node.xml, node_links: nvswitch, fabric: {nic: 100 Gb/s}}");
  CHECK(cluster.gpus_per_node == 2);
  CHECK(cluster.shape->nics[0].bandwidth.value() == 12.5e9);
  CHECK(read("{xml: node.xml, node_links: pcie}").gpu.name.empty());
  REQUIRE_THROWS_WITH(read("{gpu: h100-sxm, xml: node.xml}"),
                      Catch::Matchers::Contains("s.yaml: cluster.node_links: got nothing, expected nvswitch or mesh"));
  REQUIRE_THROWS_WITH(read("{gpu: h100-sxm, xml: node.xml, node_links: pcie, gpus_per_node: 8}"),
                      "s.yaml:1:74: cluster.gpus_per_node: got 8, expected 2, as in the file of cluster.xml");
  REQUIRE_THROWS_WITH(read("{gpu: h100-sxm, xml: node.xml, node_links: pcie, nics_per_node: 8}"),
                      Catch::Matchers::Contains("expected no such key beside cluster.xml"));
  REQUIRE_THROWS_WITH(read("{xml: other.xml}"), Catch::Matchers::Contains("which does not exist"));
}

TEST_CASE("The schema takes and refuses the same lists as the parser", "[scenario]") {
  const nlohmann::json schema = nlohmann::json::parse(scenario_schema());
  CHECK(schema_complaint(schema, yaml_to_json(kGraph)) == "");
  CHECK(schema_complaint(schema, yaml_to_json(with_cluster("{gpu: h100-sxm, nodes: [{count: 1, nic: 200 Gb/s}]}"))) ==
        "");
  for (const char* cluster : {"{gpu: h100-sxm, nodes: []}", "{gpu: h100-sxm, nodes: [{gpu: h100-sxm}]}",
                              "{gpu: h100-sxm, nodes: [{count: 1, x: 2}]}", "{gpu: h100-sxm, links: [{name: a}]}",
                              "{gpu: h100-sxm, links: 5}", "{gpu: h100-sxm, nodes: \"2\"}"}) {
    INFO(cluster);
    CHECK(schema_complaint(schema, yaml_to_json(with_cluster(cluster))) != "");
    CHECK(refusal(with_cluster(cluster)) != "");
  }
}
