// Nodes from NCCL and RCCL topology files.

#include "models/hardware/nccl_xml.hpp"

#include <filesystem>

#include <fmt/format.h>

#include "models/hardware/topology.hpp"
#include "models/units/error.hpp"
#include "tests/catch_compat.hpp"
#include "tests/shared_data.hpp"

using namespace moesim;

namespace {

std::string refusal(const std::string& text, const NcclXmlOptions& options = {}) {
  try {
    parse_nccl_xml(text, "n.xml", options);
  } catch (const InputError& error) {
    return error.what();
  }
  return "taken";
}

ClusterSpec cluster_of(NodeShape node, int nodes = 1) {
  ClusterSpec cluster;
  cluster.nodes = nodes;
  cluster.gpus_per_node = node.gpus;
  cluster.fabric.kind = nodes == 1 ? FabricKind::single_node : FabricKind::rail_optimised;
  cluster.shape = std::make_shared<const NodeShape>(std::move(node));
  return cluster;
}

std::vector<std::string> names(const Topology& topology, int src, int dst) {
  std::vector<std::string> all;
  for (LinkId id : topology.route(src, dst)) all.push_back(topology.links()[static_cast<std::size_t>(id)].name);
  return all;
}

double capacity_of(const Topology& topology, const std::string& name) {
  for (const Link& link : topology.links())
    if (link.name == name) return link.capacity.value();
  return -1;
}

/// Two sockets, each a switch with two GPUs and a NIC; the GPUs joined in two pairs by xGMI.
std::string two_sockets() {
  std::string text = "<system version=\"2\">\n";
  for (const char socket : {'0', '1'}) {
    text += fmt::format("<cpu numaid=\"{}\" vendor=\"AuthenticAMD\" familyid=\"175\" modelid=\"1\">\n", socket);
    text +=
        fmt::format("<pci busid=\"s{}\" class=\"0x060400\" link_speed=\"32.0 GT/s PCIe\" link_width=\"16\">\n", socket);
    for (const char gpu : {'0', '1'}) {
      const int dev = 2 * (socket - '0') + gpu - '0';
      text += fmt::format(
          "<pci busid=\"g{}\" class=\"0x120000\" link_speed=\"16.0 GT/s PCIe\" link_width=\"16\">"
          "<gpu dev=\"{}\" sm=\"304\" gcn=\"gfx942\" rank=\"0\"><xgmi target=\"g{}\" count=\"2\" "
          "tclass=\"0x120000\"/></gpu>"
          "</pci>\n",
          dev, dev, dev ^ 1);
    }
    text += fmt::format(
        "<pci busid=\"b{0}\" class=\"0x060400\" link_speed=\"32.0 GT/s PCIe\" link_width=\"8\">"
        "<pci busid=\"n{0}\" class=\"0x020700\" link_speed=\"32.0 GT/s PCIe\" link_width=\"16\"><nic>"
        "<net name=\"mlx5_{0}\" speed=\"200000\"/></nic></pci></pci>\n</pci>\n</cpu>\n",
        socket);
  }
  return text + "</system>\n";
}

}  // namespace

TEST_CASE("A node file becomes GPUs, PCIe switches, sockets, NICs and xGMI links", "[hardware]") {
  const NodeShape node = parse_nccl_xml(two_sockets(), "n.xml", {});
  CHECK(node.gpus == 4);
  REQUIRE(node.nics.size() == 2);
  CHECK(node.nic_of_gpu == std::vector<int>{0, 0, 1, 1});
  CHECK(node.nics[0].bandwidth.value() == 25e9);  // 200 Gb/s
  CHECK(node.notes.empty());
  const Topology topology{cluster_of(node)};
  CHECK(names(topology, 0, 1) == std::vector<std::string>{"n0g0 -> n0g1"});
  CHECK(capacity_of(topology, "n0g0 -> n0g1") == 2 * 64e9);  // two links of gfx942
  CHECK(names(topology, 0, 2) == std::vector<std::string>{"n0g0 -> n0 pcie0", "n0 pcie0 -> n0 root0",
                                                          "n0 root0 -> n0 root1", "n0 root1 -> n0 pcie1",
                                                          "n0 pcie1 -> n0g2"});
  CHECK(capacity_of(topology, "n0g0 -> n0 pcie0") == 32e9);      // 16 GT/s x 16 / 8
  CHECK(capacity_of(topology, "n0 pcie0 -> n0 root0") == 64e9);  // 32 GT/s x 16 / 8
  CHECK(capacity_of(topology, "n0 root0 -> n0 root1") == 24e9);  // Zen 3
  CHECK(capacity_of(topology, "n0 nic0 -> n0 pcie0") == 32e9);   // the bridge above it has 8 lanes only
  // pairs {0, 1} and {2, 3} meet at the sockets only
  CHECK(topology.bisection().value() == 24e9);
}

TEST_CASE("Nodes from a file are joined by their NICs", "[hardware]") {
  const Topology topology{cluster_of(parse_nccl_xml(two_sockets(), "n.xml", {}), 2)};
  CHECK(names(topology, 1, 4) == std::vector<std::string>{"n0g1 -> n0 pcie0", "n0 pcie0 -> n0 nic0",
                                                          "n0 nic0 -> leaf0.0", "leaf0.0 -> n1 nic0",
                                                          "n1 nic0 -> n1 pcie0", "n1 pcie0 -> n1g0"});
  CHECK(topology.bisection().value() == 2 * 25e9);
  CHECK(capacity_of(topology, "n0 nic0 -> leaf0.0") == 25e9);
}

TEST_CASE("A file with a mistake is refused with its line and column", "[hardware]") {
  CHECK(refusal("<system><cpu></system>") == "n.xml:1:16: got Start-end tags mismatch, expected an XML document");
  CHECK(refusal("") == "n.xml:1:1: got No document element found, expected an XML document");
  CHECK(refusal("<graphs version=\"1\"><graph id=\"0\"/></graphs>") ==
        "n.xml:1:2: got a <graphs> file: the rings and trees that NCCL chose, expected a <system> topology "
        "(NCCL_TOPO_DUMP_FILE): a graph names neither links nor NICs");
  CHECK(refusal("<html/>") == "n.xml:1:2: got <html>, expected <system>");
  CHECK(refusal("<system/>") == "n.xml: got no GPU, expected a node with GPUs");
  CHECK(refusal("<system>\n <gpu/>\n</system>") == "n.xml:2:3: got <gpu> in <system>, expected <cpu>");
  CHECK(refusal("<system><cpu>\n<pci/></cpu></system>") == "n.xml:2:2: got a <pci> without busid, expected its bus id");
  CHECK(refusal("<system><cpu>\n<pci busid=\"a\"/></cpu></system>")
            .find("n.xml:2:2: got <pci busid=\"a\"> without class, speed or children, expected a class") == 0);
  CHECK(
      refusal(
          "<system><cpu><pci busid=\"a\" class=\"0x030200\"/>\n<pci busid=\"a\" class=\"0x030200\"/></cpu></system>") ==
      "n.xml:2:2: got the busid 'a' again, expected each once");
  const auto gpu = [](const std::string& inside) {
    return "<system><cpu><pci busid=\"a\" link_speed=\"8 GT/s\" link_width=\"16\">\n<gpu dev=\"0\">" + inside +
           "</gpu></pci></cpu></system>";
  };
  CHECK(refusal(gpu("<nvlink target=\"b\" count=\"1\"/>")) ==
        "n.xml:2:15: got a link to the unknown device 'b', expected the bus id of a GPU of the file");
  CHECK(refusal(gpu("<nvlink target=\"a\" count=\"-1\"/>")) ==
        "n.xml:2:15: got count '-1', expected an integer from 1 to 1024");
  CHECK(refusal(gpu("<c2c/>")) ==
        "n.xml: a C2C link (NVLink to the CPU) is not modelled yet; use a file without <c2c>");
  CHECK(refusal(gpu("<bar/>")) == "n.xml:2:15: got <bar> in <gpu>, expected <nvlink> or <xgmi>");
  CHECK(refusal(gpu("text")) == "n.xml:2:14: got the text 'text', expected elements only");
}

TEST_CASE("Entities and document types are refused, never expanded", "[hardware]") {
  std::string bomb = "<!DOCTYPE system [\n<!ENTITY a \"aaaaaaaaaa\">\n";
  for (char c = 'b'; c < 'k'; ++c) {
    bomb += fmt::format("<!ENTITY {} \"", c);
    for (int i = 0; i < 10; ++i) bomb += fmt::format("&{};", static_cast<char>(c - 1));
    bomb += "\">\n";
  }
  bomb += "]>\n<system>&j;</system>\n";
  CHECK(refusal(bomb).find("got a document type, expected a topology without one: entities are never expanded") !=
        std::string::npos);
  CHECK(refusal("<!DOCTYPE system SYSTEM \"file:///etc/hostname\"><system/>").find("got a document type") !=
        std::string::npos);
  CHECK(refusal("<system>&j;</system>") == "n.xml:1:9: got the text '&j;', expected elements only");
}

TEST_CASE("Nesting without end is refused", "[hardware]") {
  std::string deep = "<system><cpu>";
  for (int i = 0; i < 5000; ++i) deep += fmt::format("<pci busid=\"{}\" link_speed=\"8 GT/s\" link_width=\"16\">", i);
  for (int i = 0; i < 5000; ++i) deep += "</pci>";
  CHECK(refusal(deep + "</cpu></system>").find("got more than 32 levels, expected fewer") != std::string::npos);
}

TEST_CASE("A PCIe tree alone needs its NVLinks stated, and a full file refuses that", "[hardware]") {
  const std::string tree =
      "<system><cpu><pci busid=\"a\" class=\"0x030200\" link_speed=\"16 GT/s\" link_width=\"16\"/>"
      "<pci busid=\"b\" class=\"0x030200\" link_speed=\"16 GT/s\" link_width=\"16\"/></cpu></system>";
  CHECK(refusal(tree) ==
        "cluster.node_links: got nothing, expected nvswitch or mesh (with the NVLinks of cluster.gpu), or pcie where "
        "there are none: n.xml has a PCIe tree without NVLinks");
  CHECK(refusal(tree, {.gpu = {}, .links = NodeLinks::nvswitch}) ==
        "cluster.gpu: got nothing, expected the GPU whose NVLinks these are, as h100-sxm");
  const Topology pcie{cluster_of(parse_nccl_xml(tree, "n.xml", {.gpu = {}, .links = NodeLinks::pcie}))};
  CHECK(names(pcie, 0, 1) == std::vector<std::string>{"n0g0 -> n0 root", "n0 root -> n0g1"});
  const NcclXmlOptions a100{.gpu = find_gpu("a100-sxm", "t"), .links = NodeLinks::nvswitch};
  CHECK(names(Topology{cluster_of(parse_nccl_xml(tree, "n.xml", a100))}, 0, 1) ==
        std::vector<std::string>{"n0g0 -> n0 nvswitch", "n0 nvswitch -> n0g1"});
  CHECK(refusal(two_sockets(), a100) ==
        "cluster.node_links: got nvswitch, expected no such key: n.xml lists the links of its GPUs");
}

TEST_CASE("Real node files have their GPUs, NICs and links, or are refused with the reason", "[hardware]") {
  struct Case {
    const char* file;
    int gpus, nics;    ///< NICs: groups that GPUs use
    double nic;        ///< GB/s of the first
    const char* gpu;   ///< "": none needed
    NodeLinks links;   ///< none: not stated
    double bisection;  ///< GB/s, 0: not checked
  };
  const NodeLinks none = NodeLinks::none, nvswitch = NodeLinks::nvswitch, pcie = NodeLinks::pcie;
  const Case c = GENERATE_COPY(
      Case{"rccl_topo_8p_940", 8, 8, 50, "", none, 16 * 64.0},  // mesh: 4 x 4 links of 64
      Case{"rccl_topo_8p_940vm", 8, 8, 50, "", none, 0}, Case{"rccl_topo_4p_940", 4, 4, 32, "", none, 0},
      Case{"rccl_topo_16p1h", 16, 8, 25, "", none, 0}, Case{"rccl_topo_8p_90a", 8, 1, 0.125, "", none, 0},
      Case{"rccl_topo_8p_90a_1", 8, 1, 0, "", none, 0}, Case{"rccl_topo_4p3l_n4", 8, 1, 25, "", none, 0},
      Case{"rccl_topo_8p6l_6nic", 8, 0, 0, "", none, 0}, Case{"rccl_topo_8p_rome_4nics", 8, 0, 0, "", none, 0},
      Case{"rccl_topo_8p_pcie_2nic", 8, 2, 12.5, "", pcie, 0},
      Case{"azure_ndv5-topo", 8, 8, 50, "h100-sxm", nvswitch, 0},
      Case{"azure_ndv4-topo", 8, 8, 25, "a100-sxm", nvswitch, 0},
      Case{"azure_ndv2-topo", 8, 1, 0, "h100-sxm", nvswitch, 0},
      Case{"azure_ncv4-topo", 4, 1, 12.5, "a100-pcie", pcie, 0},
      Case{"aws_p4d-24xl-topo", 8, 4, 25, "a100-sxm", nvswitch, 0},
      Case{"aws_p4de-24xl-topo", 8, 4, 25, "a100-sxm", nvswitch, 0},
      Case{"aws_p5.48xl-topo", 8, 8, 50, "h100-sxm", nvswitch, 0});
  const std::string file = testing::shared_file(fmt::format("data/topology/nccl_xml/{}.xml", c.file));
  if (file.empty()) return;
  INFO(c.file);
  NcclXmlOptions options;
  if (*c.gpu != 0) options.gpu = find_gpu(c.gpu, "t");
  if (c.links != none) {
    REQUIRE_THROWS_WITH(load_nccl_xml(file, {options.gpu, std::nullopt}),
                        Catch::Matchers::Contains("cluster.node_links: got nothing"));
    options.links = c.links;
  }
  const NodeShape node = load_nccl_xml(file, options);
  CHECK(node.gpus == c.gpus);
  if (c.nics > 0) CHECK(static_cast<int>(node.nics.size()) == c.nics);
  ClusterSpec cluster = cluster_of(node);
  const Topology topology{cluster};
  for (int gpu = 1; gpu < node.gpus; ++gpu) CHECK(!topology.route(0, gpu).empty());
  if (c.bisection > 0) CHECK(topology.bisection().value() >= c.bisection * 1e9);
  cluster.nodes = 2;
  cluster.fabric.kind = FabricKind::rail_optimised;
  cluster.fabric.nic = BytesPerSecond{(c.nic > 0 ? c.nic : 25) * 1e9};  // for files without speeds
  const Topology pair{cluster};
  if (c.nic > 0)
    for (const Link& link : pair.links())
      if (link.tier == Tier::nic) {
        CHECK(link.capacity.value() == Approx(c.nic * 1e9));
        break;
      }
  CHECK(pair.gpus() == 2 * c.gpus);
}

TEST_CASE("Real files that are no node are refused", "[hardware]") {
  const std::string graph = testing::shared_file("data/topology/nccl_xml/azure_ncv4-graph.xml");
  if (!graph.empty())
    REQUIRE_THROWS_WITH(load_nccl_xml(graph, {}), Catch::Matchers::Contains(":1:2: got a <graphs> file"));
  const std::string g5 = testing::shared_file("data/topology/nccl_xml/aws_g5.48xl-topo.xml");
  if (!g5.empty())
    REQUIRE_THROWS_WITH(load_nccl_xml(g5, {}),
                        Catch::Matchers::Contains("this file leaves it to the machine that loads it"));
}
