#include <algorithm>
#include <iterator>

#include <fmt/format.h>

#include "models/units/text.hpp"
#include "plots/palette.hpp"
#include "plots/topology_drawing.hpp"
#include "plots/topology_facts.hpp"

namespace moesim {
namespace {

std::string quoted(const std::string& text) {
  std::string safe = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') safe += '\\';
    safe += c;
  }
  return safe + '"';
}

std::string node_style(const Vertex& vertex) {
  switch (vertex.kind) {
    case VertexKind::gpu:
    case VertexKind::leaf:
      return fmt::format("style=filled, fillcolor=\"{}\", fontcolor=\"{}\"", rail_colour(vertex.rail).fill,
                         rail_colour(vertex.rail).text);
    case VertexKind::nvswitch:
    case VertexKind::pcie_switch:
    case VertexKind::root_complex:
    case VertexKind::nic:
    case VertexKind::spine:
    case VertexKind::core:
    case VertexKind::router:
      break;
  }
  return fmt::format("style=filled, fillcolor=\"{}\", fontcolor=white", kSwitchGrey);
}

}  // namespace

std::string topology_dot(const Topology& topology) {
  const auto vertices = topology.vertices();
  std::string dot;
  const auto out = std::back_inserter(dot);
  const auto name = [&](int v) { return quoted(vertices[static_cast<std::size_t>(v)].name); };
  const auto declare = [&](std::size_t v, const char* indent) {
    fmt::format_to(out, "{}{} [{}];\n", indent, quoted(vertices[v].name), node_style(vertices[v]));
  };
  fmt::format_to(out, "graph topology {{\n  label={};\n  rankdir=BT;\n  node [shape=box, fontname=\"sans-serif\"];\n",
                 quoted(facts_of(topology).title));
  for (int node = 0; node < topology.nodes(); ++node) {
    fmt::format_to(out, "  subgraph cluster_node{} {{\n    label=\"node {}\";\n", node, node);
    for (std::size_t v = 0; v < vertices.size(); ++v)
      if (vertices[v].node == node) declare(v, "    ");
    dot += "  }\n";
  }
  for (const VertexKind kind : {VertexKind::leaf, VertexKind::router, VertexKind::spine, VertexKind::core}) {
    if (std::none_of(vertices.begin(), vertices.end(), [&](const Vertex& v) { return v.kind == kind; })) continue;
    dot += "  { rank=same;\n";
    for (std::size_t v = 0; v < vertices.size(); ++v)
      if (vertices[v].kind == kind) declare(v, "    ");
    dot += "  }\n";
  }
  for (const CableBundle& bundle : cable_bundles(topology))
    fmt::format_to(out, "  {} -- {} [tooltip=\"{}{}\"{}];\n", name(bundle.lower), name(bundle.upper),
                   bundle.cables > 1 ? fmt::format("{} cables, ", bundle.cables) : "", human(bundle.capacity),
                   bundle.cables > 1 ? fmt::format(", label=\"x{}\", penwidth=2", bundle.cables) : "");
  return dot + "}\n";
}

}  // namespace moesim
