#include "plots/topology_facts.hpp"

#include <fmt/format.h>

#include "models/units/text.hpp"

namespace moesim {
namespace {

const Vertex& vertex(const Topology& topology, int v) {
  return topology.vertices()[static_cast<std::size_t>(v)];
}

/// Links towards the spine; the other direction is their mirror.
bool goes_up(const Topology& topology, const Link& link) {
  return vertex(topology, link.from).kind < vertex(topology, link.to).kind;
}

std::string plural(int count, const std::string& noun) {
  return fmt::format("{} {}{}", with_commas(count), noun, count == 1 ? "" : "s");
}

void add_capacities(const Topology& topology, TopologyFacts& facts) {
  for (const Link& link : topology.links()) {
    if (!goes_up(topology, link)) continue;
    if (link.tier == Tier::nvlink) facts.nvlink = link.capacity;
    if (link.tier == Tier::nic) {
      facts.nic = link.capacity;
      if (link.to == facts.leaves.front()) facts.leaf_down += link.capacity;
    }
    if (link.tier == Tier::spine && link.from == facts.leaves.front()) {
      facts.leaf_up += link.capacity;
      ++facts.uplinks;
      facts.bundled = link.name.find("bundle") != std::string::npos;
    }
  }
}

std::string subtitle(const Topology& topology, const TopologyFacts& facts) {
  std::string text;
  if (facts.nvlink.value() > 0) text += fmt::format("NVLink {} per GPU", human(facts.nvlink));
  if (facts.nic.value() > 0) text += fmt::format("{}NIC {} per GPU", text.empty() ? "" : " · ", human(facts.nic));
  if (!facts.spines.empty()) text += fmt::format(" · leaf down : up {:.3g} : 1", facts.leaf_down / facts.leaf_up);
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
    facts.leaf_block_of_node.push_back(topology.leaf_of(node * topology.gpus_per_node()));
  facts.leaf_blocks = facts.leaf_block_of_node.back() + 1;
  add_capacities(topology, facts);
  facts.title = plural(topology.gpus(), "GPU");
  facts.title += fmt::format(" · {} of {}", plural(topology.nodes(), "node"), topology.gpus_per_node());
  if (!facts.leaves.empty()) facts.title += " · " + plural(topology.gpus_per_node(), "rail");
  facts.subtitle = subtitle(topology, facts);
  return facts;
}

}  // namespace moesim
