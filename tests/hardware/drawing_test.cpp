#include <cstdlib>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "plots/svg.hpp"
#include "plots/topology_drawing.hpp"
#include "tests/catch_compat.hpp"
#include "tests/hardware/clusters.hpp"

using namespace moesim;
using moesim::testing::small_cluster;

namespace {

int occurrences(const std::string& text, const std::string& part) {
  int found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) ++found;
  return found;
}

void check_entities(const std::string& text) {
  for (std::size_t at = text.find('&'); at != std::string::npos; at = text.find('&', at + 1)) {
    const std::string entity = text.substr(at, text.find(';', at) - at + 1);
    REQUIRE((entity == "&amp;" || entity == "&lt;" || entity == "&gt;" || entity == "&quot;" || entity == "&#39;"));
  }
}

/// The elements in order, as "rect x=... /"; the text between them is safe.
std::vector<std::string> elements(const std::string& svg) {
  std::vector<std::string> all;
  std::size_t end = 0;
  for (std::size_t begin = svg.find('<'); begin != std::string::npos; begin = svg.find('<', end)) {
    REQUIRE(svg.substr(end, begin - end).find('>') == std::string::npos);
    end = svg.find('>', begin) + 1;
    REQUIRE(end != 0);
    all.push_back(svg.substr(begin + 1, end - begin - 2));
    REQUIRE(all.back().find('<') == std::string::npos);
    REQUIRE(occurrences(all.back(), "\"") % 2 == 0);
  }
  REQUIRE(svg.substr(end) == "\n");
  check_entities(svg);
  return all;
}

/// Every opened element is closed, in order.
void check_well_formed(const std::string& svg) {
  std::vector<std::string> open;
  for (const std::string& element : elements(svg)) {
    if (element.back() == '/') continue;
    const std::string name = element.substr(element.front() == '/' ? 1 : 0, element.find(' '));
    if (element.front() != '/') {
      open.push_back(name);
      continue;
    }
    REQUIRE(!open.empty());
    REQUIRE(open.back() == name);
    open.pop_back();
  }
  REQUIRE(open.empty());
}

double attribute(const std::string& element, const std::string& name) {
  const std::size_t at = element.find(" " + name + "=\"");
  REQUIRE(at != std::string::npos);
  return std::strtod(element.c_str() + at + name.size() + 3, nullptr);
}

/// No box leaves the frame, and there are some.
void check_inside(const std::string& svg) {
  const std::vector<std::string> all = elements(svg);
  const double width = attribute(all.front(), "width"), height = attribute(all.front(), "height");
  REQUIRE(all.front().find(fmt::format("viewBox=\"0 0 {} {}\"", width, height)) != std::string::npos);
  int boxes = 0;
  for (const std::string& element : all) {
    if (!element.starts_with("rect ")) continue;
    ++boxes;
    REQUIRE(attribute(element, "x") >= 0);
    REQUIRE(attribute(element, "y") >= 0);
    REQUIRE(attribute(element, "x") + attribute(element, "width") <= width);
    REQUIRE(attribute(element, "y") + attribute(element, "height") <= height);
  }
  REQUIRE(boxes > 0);
}

}  // namespace

TEST_CASE("The drawing of any cluster is well formed and stays inside its frame", "[hardware][plots]") {
  const int nodes = GENERATE(1, 4, 5, 44);
  const int gpus_per_node = GENERATE(1, 8, 9);
  ClusterSpec cluster = small_cluster(nodes, gpus_per_node, 2);
  cluster.rails = GENERATE(RailPolicy::forward, RailPolicy::spine);
  cluster.spread = GENERATE(SpreadPolicy::ecmp, SpreadPolicy::spray);
  INFO(nodes << " nodes of " << gpus_per_node);
  const std::string svg = topology_svg(Topology{cluster});
  check_well_formed(svg);
  check_inside(svg);
}

TEST_CASE("A small cluster shows every GPU, NVLink and NIC", "[hardware][plots]") {
  const std::string svg = topology_svg(Topology{small_cluster(2)});
  CHECK(occurrences(svg, ">g7</text>") == 2);
  CHECK(occurrences(svg, "<line ") == 16);  // NVLinks
  CHECK(occurrences(svg, "<path ") == 16);  // NICs
  CHECK(occurrences(svg, ">leaf3.0</text>") == 1);
  CHECK(svg.find("16 GPUs · 2 nodes of 8 · 8 rails") != std::string::npos);
  CHECK(svg.find("bisection 400 GB/s") != std::string::npos);
}

TEST_CASE("A large cluster shows every GPU as a numbered cell and no single NIC", "[hardware][plots]") {
  const std::string svg = topology_svg(Topology{small_cluster(18)});
  CHECK(occurrences(svg, ">7</text>") == 18);
  CHECK(occurrences(svg, ">node 17</text>") == 1);
  CHECK(occurrences(svg, "<path ") == 0);
}

TEST_CASE("The graph for Graphviz has one edge per cable bundle", "[hardware][plots]") {
  // 12 nodes x 2 GPUs at 3:1 on 8 ports: 24 NVLinks, 24 NICs, 4 leaves with 2 uplinks, all to the one spine
  const std::string dot = topology_dot(Topology{small_cluster(12, 2, 3, 8)});
  CHECK(occurrences(dot, " -- ") == 24 + 24 + 4);
  CHECK(occurrences(dot, "label=\"x2\"") == 4);
  CHECK(dot.find("\"n11g1\" -- \"leaf1.1\" [tooltip=\"50 GB/s\"];") != std::string::npos);
  CHECK(occurrences(dot, "{") == occurrences(dot, "}"));
}

TEST_CASE("Drawings of the same cluster are identical", "[hardware][plots]") {
  const ClusterSpec cluster = small_cluster(40);
  CHECK(topology_svg(Topology{cluster}) == topology_svg(Topology{cluster}));
  CHECK(topology_dot(Topology{cluster}) == topology_dot(Topology{cluster}));
}

TEST_CASE("Text in a drawing cannot break it", "[hardware][plots]") {
  CHECK(escaped("a < b & \"c\" > 'd'") == "a &lt; b &amp; &quot;c&quot; &gt; &#39;d&#39;");
  Svg svg;
  svg.text(0, 0, "</text><script>", {.size = 10, .colour = "#000"});
  check_well_formed(svg.document(10, 10, "<&>", "\"'"));
}

TEST_CASE("Every fabric and kind of node has a drawing that stays inside its frame", "[hardware][plots]") {
  const FabricKind kind =
      GENERATE(FabricKind::fat_tree, FabricKind::dragonfly, FabricKind::torus, FabricKind::multi_rail);
  const NodeLinks links = GENERATE(NodeLinks::nvswitch, NodeLinks::mesh, NodeLinks::pcie);
  const int nodes = GENERATE(6, 60);
  ClusterSpec cluster = small_cluster(nodes, 4, 1, 16);
  cluster.gpu.pcie = BytesPerSecond{64e9};
  cluster.gpu.gpus_per_node = 4;
  cluster.links = links;
  cluster.fabric.kind = kind;
  cluster.fabric.tiers = 3;
  cluster.fabric.planes = 2;
  cluster.fabric.groups = 3;
  cluster.fabric.routers = 2;
  cluster.fabric.switch_ports = 64;
  INFO(name_of(kind) << " of " << nodes << " nodes with " << name_of(links));
  const Topology topology{cluster};
  const std::string svg = topology_svg(topology), dot = topology_dot(topology);
  check_well_formed(svg);
  check_inside(svg);
  CHECK(occurrences(dot, "{") == occurrences(dot, "}"));
  for (const Link& link : topology.links())
    REQUIRE(dot.find('"' + topology.vertices()[static_cast<std::size_t>(link.from)].name + '"') != std::string::npos);
}

TEST_CASE("A mesh node shows a cable for each pair of GPUs", "[hardware][plots]") {
  ClusterSpec cluster = small_cluster(1);
  cluster.links = NodeLinks::mesh;
  const std::string svg = topology_svg(Topology{cluster});
  CHECK(occurrences(svg, "<path ") + occurrences(svg, "<line ") == 28);
  CHECK(occurrences(svg, ">n0g7</text>") == 1);
}

// The ends of the scale, from idle to busiest.
TEST_CASE("One busy NIC is the only hot cable of a drawn cluster and its GPU the only hot box", "[hardware]") {
  const Topology topology{small_cluster(2)};
  LinkShading shading{std::vector<double>(topology.links().size()), "share of the time that it is busy"};
  SECTION("busy") {
    for (std::size_t l = 0; l < topology.links().size(); ++l)
      if (topology.links()[l].name == "n1g3 -> leaf3.0") shading.share[l] = 0.25;
    const std::string svg = topology_svg(topology, &shading);
    check_well_formed(svg);
    CHECK(occurrences(svg, "#B23A00") == 3);  // the cable, the GPU, and the last step of the legend
    CHECK(occurrences(svg, ">25 %</text>") == 1);
    CHECK(occurrences(svg, ">share of the time that it is busy</text>") == 1);
  }
  SECTION("idle") {
    const std::string svg = topology_svg(topology, &shading);
    check_well_formed(svg);
    CHECK(occurrences(svg, "#B23A00") == 0);
    CHECK(occurrences(svg, "#B8C0CC") >= 32);  // 16 GPUs with a NIC each
  }
  SECTION("no shading") {
    CHECK(occurrences(topology_svg(topology), "#B8C0CC") == 0);
    CHECK(occurrences(topology_svg(topology), "busy") == 0);
  }
}
