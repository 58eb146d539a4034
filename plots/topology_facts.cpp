#include "plots/topology_facts.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "models/units/text.hpp"

namespace moesim {
namespace {

const Vertex& vertex(const Topology& topology, int v) {
  return topology.vertices()[static_cast<std::size_t>(v)];
}

/// Links towards the spine; the other direction is their mirror.
bool goes_up(const Topology& topology, const Link& link) {
  const VertexKind from = vertex(topology, link.from).kind, to = vertex(topology, link.to).kind;
  return from != to ? from < to : link.from < link.to;
}

std::string plural(int count, const std::string& noun) {
  return fmt::format("{} {}{}", with_commas(count), noun, count == 1 ? "" : "s");
}

void add_capacities(const Topology& topology, TopologyFacts& facts) {
  for (const Link& link : topology.links()) {
    if (!goes_up(topology, link)) continue;
    if (link.tier == Tier::nvlink) facts.nvlink = link.capacity;
    if (link.tier == Tier::pcie && vertex(topology, link.from).kind == VertexKind::gpu) facts.pcie = link.capacity;
    if (link.tier == Tier::nic) {
      facts.nic = link.capacity;
      if (!facts.leaves.empty() && link.to == facts.leaves.front()) facts.leaf_down += link.capacity;
    }
    if (link.tier == Tier::spine && !facts.leaves.empty() && link.from == facts.leaves.front()) {
      facts.leaf_up += link.capacity;
      ++facts.uplinks;
      facts.bundled = link.name.find("bundle") != std::string::npos;
    }
  }
}

bool has_kind(const Topology& topology, VertexKind kind) {
  return std::any_of(topology.vertices().begin(), topology.vertices().end(),
                     [&](const Vertex& shown) { return shown.kind == kind; });
}
bool has_nvswitch(const Topology& topology) {
  return has_kind(topology, VertexKind::nvswitch);
}
bool has_nic_parts(const Topology& topology) {
  return has_kind(topology, VertexKind::nic);
}

std::string_view fabric_title(const Topology& topology) {
  return topology.fabric() == FabricKind::single_node ? std::string_view{} : name_of(topology.fabric());
}

bool has_rails(const Topology& topology) {
  const FabricKind kind = topology.fabric();
  return kind == FabricKind::rail_optimised || kind == FabricKind::multi_rail || kind == FabricKind::rail_only;
}

std::string subtitle(const Topology& topology, const TopologyFacts& facts) {
  std::string text;
  const auto add = [&](const char* what, BytesPerSecond bandwidth, const char* of) {
    if (bandwidth.value() > 0)
      text += fmt::format("{}{} {} per {}", text.empty() ? "" : " · ", what, human(bandwidth), of);
  };
  add("NVLink", facts.nvlink, has_nvswitch(topology) ? "GPU" : "link");
  if (facts.nvlink.value() == 0) add("PCIe", facts.pcie, "GPU");
  add("NIC", facts.nic, has_nic_parts(topology) ? "NIC" : "GPU");
  if (!facts.spines.empty() && facts.leaf_up.value() > 0)
    text += fmt::format(" · leaf down : up {:.3g} : 1", facts.leaf_down / facts.leaf_up);
  if (topology.gpus() > 1) text += fmt::format(" · bisection {}", human(topology.bisection()));
  return text;
}

}  // namespace

std::vector<CableBundle> cable_bundles(const Topology& topology) {
  std::vector<CableBundle> bundles;
  std::map<std::pair<int, int>, std::size_t> known;
  for (const Link& link : topology.links()) {
    if (!goes_up(topology, link)) continue;
    const auto [at, is_new] = known.try_emplace({link.from, link.to}, bundles.size());
    if (is_new) bundles.push_back({link.from, link.to, link.tier, 0, BytesPerSecond{0}});
    ++bundles[at->second].cables;
    bundles[at->second].capacity += link.capacity;
  }
  return bundles;
}

TopologyFacts facts_of(const Topology& topology) {
  TopologyFacts facts;
  for (int v = 0; v < static_cast<int>(topology.vertices().size()); ++v) {
    if (vertex(topology, v).kind == VertexKind::leaf) facts.leaves.push_back(v);
    if (vertex(topology, v).kind == VertexKind::spine) facts.spines.push_back(v);
  }
  for (int node = 0; node < topology.nodes(); ++node)
    facts.leaf_block_of_node.push_back(topology.leaf_of(topology.first_gpu(node)));
  facts.leaf_blocks = facts.leaf_block_of_node.back() + 1;
  add_capacities(topology, facts);
  facts.title = plural(topology.gpus(), "GPU");
  facts.title += " · " + plural(topology.nodes(), "node");
  if (topology.gpus() == topology.nodes() * topology.gpus_per_node())
    facts.title += fmt::format(" of {}", topology.gpus_per_node());
  if (has_rails(topology))
    facts.title += " · " + plural(static_cast<int>(facts.leaves.size()) / topology.leaves_per_rail(), "rail");
  else if (const std::string_view fabric = fabric_title(topology); !fabric.empty())
    facts.title += fmt::format(" · {}", fabric);
  facts.subtitle = subtitle(topology, facts);
  return facts;
}

bool stands_on_rails(const Topology& topology) {
  if (!has_rails(topology) && topology.fabric() != FabricKind::single_node) return false;
  if (topology.gpus() != topology.nodes() * topology.gpus_per_node()) return false;
  int nvswitches = 0;
  for (const Vertex& vertex : topology.vertices()) {
    const VertexKind kind = vertex.kind;
    if (kind == VertexKind::pcie_switch || kind == VertexKind::root_complex || kind == VertexKind::nic) return false;
    nvswitches += kind == VertexKind::nvswitch ? 1 : 0;
  }
  return nvswitches == topology.nodes() || topology.gpus_per_node() == 1;
}

}  // namespace moesim
