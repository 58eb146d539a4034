#include "plots/layered_drawing.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include <fmt/format.h>

#include "models/units/text.hpp"
#include "plots/link_paint.hpp"
#include "plots/palette.hpp"
#include "plots/svg.hpp"
#include "plots/topology_facts.hpp"

namespace moesim {
namespace {

constexpr int kMostDetailedGpus = 64, kMostNodes = 48;
constexpr double kMargin = 24, kTop = 92, kWidth = 58, kHeight = 26, kStep = 68, kRow = 104, kGridRow = 64;

/// From the top of the picture: cores, spines, leaves and routers, then what is in nodes.
int row_of(VertexKind kind) {
  switch (kind) {
    case VertexKind::core:
      return 0;
    case VertexKind::spine:
      return 1;
    case VertexKind::leaf:
    case VertexKind::router:
      return 2;
    case VertexKind::root_complex:
      return 3;
    case VertexKind::pcie_switch:
      return 4;
    case VertexKind::nic:
    case VertexKind::gpu:
      return 5;
    case VertexKind::nvswitch:
      return 6;
  }
  return 0;
}

class Layers {
public:
  Layers(const Topology& topology, const LinkShading* shading)
      : topology_{topology},
        detailed_{topology.gpus() <= kMostDetailedGpus},
        nodes_drawn_{topology.nodes() <= kMostNodes},
        paint_{topology, shading},
        boxes_(topology.vertices().size()) {
    place();
  }

  std::string paint() {
    const TopologyFacts facts = facts_of(topology_);
    svg_.text(kMargin, 40, facts.title, {.size = 24, .colour = kInkGrey, .anchor = "start", .bold = true});
    svg_.text(kMargin, 66, facts.subtitle, {.size = 15, .colour = kInkGrey, .anchor = "start"});
    paint_links();
    for (std::size_t v = 0; v < boxes_.size(); ++v)
      if (boxes_[v].width > 0) paint_vertex(v);
    for (std::size_t n = 0; n < node_boxes_.size(); ++n) {
      svg_.rect(node_boxes_[n], kOkabeIto[1].fill);
      svg_.label(node_boxes_[n], fmt::format("n{} · {}", n, topology_.gpus_of_node(static_cast<int>(n))),
                 {.size = 11, .colour = kOkabeIto[1].text});
    }
    paint_.paint_legend(svg_, width_ - kMargin, 40);
    return svg_.document(width_, height_, facts.title, facts.subtitle);
  }

private:
  const Vertex& vertex(std::size_t v) const { return topology_.vertices()[v]; }
  bool is_grid() const {
    return topology_.fabric() == FabricKind::torus || topology_.fabric() == FabricKind::dragonfly;
  }

  /// Where a router stands in the grid: column and row, by its name "r3.1" (torus: x, y; dragonfly: group, router).
  static std::pair<int, int> cell_of(const std::string& name) {
    const std::size_t dot = name.find('.');
    return {std::stoi(name.substr(1, dot - 1)), std::stoi(name.substr(dot + 1))};
  }

  /// Vertices of each row in order; node parts by node.
  void place() {
    std::map<int, std::vector<std::size_t>> rows;
    int columns = 0, lines = 0;
    for (std::size_t v = 0; v < boxes_.size(); ++v) {
      if (vertex(v).node >= 0 && !detailed_) continue;
      if (is_grid() && vertex(v).kind == VertexKind::router) {
        columns = std::max(columns, cell_of(vertex(v).name).first + 1);
        lines = std::max(lines, cell_of(vertex(v).name).second + 1);
        continue;
      }
      rows[row_of(vertex(v).kind)].push_back(v);
    }
    std::size_t most = static_cast<std::size_t>(columns);
    for (auto& [row, members] : rows) {
      std::stable_sort(members.begin(), members.end(),
                       [&](std::size_t a, std::size_t b) { return vertex(a).node < vertex(b).node; });
      most = std::max(most, members.size());
    }
    if (!detailed_ && nodes_drawn_) most = std::max(most, static_cast<std::size_t>(topology_.nodes()));
    width_ = std::max(640.0, 2 * kMargin + static_cast<double>(most) * kStep);
    double y = kTop + 20;
    for (const auto& [row, members] : rows) {
      if (row >= 3 && columns > 0) y = place_grid(columns, lines, y), columns = 0;
      place_row(members, y);
      y += row == 6 ? kHeight + kMargin : kRow;
    }
    if (columns > 0) y = place_grid(columns, lines, y);
    if (!detailed_ && nodes_drawn_) y = place_node_boxes(y);
    height_ = y + kMargin;
  }

  double left(std::size_t members) const {
    return (width_ - static_cast<double>(members) * kStep) / 2 + (kStep - kWidth) / 2;
  }

  void place_row(const std::vector<std::size_t>& members, double y) {
    // rows of fewer members are spread over the width of the widest
    const double step = (width_ - 2 * kMargin) / static_cast<double>(members.size());
    for (std::size_t i = 0; i < members.size(); ++i)
      boxes_[members[i]] = {kMargin + (static_cast<double>(i) + 0.5) * step - kWidth / 2, y, kWidth, kHeight};
  }

  double place_grid(int columns, int lines, double y) {
    const double step = (width_ - 2 * kMargin) / columns;
    for (std::size_t v = 0; v < boxes_.size(); ++v) {
      if (vertex(v).kind != VertexKind::router) continue;
      const auto [column, line] = cell_of(vertex(v).name);
      // every second column lower, so that cables along a row do not hide each other
      boxes_[v] = {kMargin + (column + 0.5) * step - kWidth / 2, y + line * kGridRow + (column % 2) * 14, kWidth,
                   kHeight};
    }
    return y + lines * kGridRow + kRow - kGridRow;
  }

  double place_node_boxes(double y) {
    const auto nodes = static_cast<std::size_t>(topology_.nodes());
    const double step = (width_ - 2 * kMargin) / static_cast<double>(nodes);
    for (std::size_t n = 0; n < nodes; ++n)
      node_boxes_.push_back({kMargin + (static_cast<double>(n) + 0.5) * step - kWidth / 2, y, kWidth, kHeight});
    return y + kHeight;
  }

  /// The box that stands for a vertex, nullptr for none.
  const Box* box(int v) const {
    const Box& own = boxes_[static_cast<std::size_t>(v)];
    if (own.width > 0) return &own;
    const int node = vertex(static_cast<std::size_t>(v)).node;
    return node >= 0 && !node_boxes_.empty() ? &node_boxes_[static_cast<std::size_t>(node)] : nullptr;
  }

  std::string colour(const CableBundle& bundle) const {
    switch (bundle.tier) {
      case Tier::nvlink:
        return kOkabeIto[2].fill;
      case Tier::pcie:
        return kOkabeIto[6].fill;
      case Tier::nic:
        return kOkabeIto[4].fill;
      case Tier::core:
      case Tier::global:
        return kOkabeIto[5].fill;
      case Tier::spine:
      case Tier::local:
      case Tier::torus:
        break;
    }
    return kOkabeIto[0].fill;
  }

  /// Nodes as one box have one line to each switch: that of their busiest cable.
  std::vector<CableBundle> shown_bundles() const {
    std::vector<CableBundle> shown;
    std::map<std::pair<const Box*, const Box*>, std::size_t> known;
    for (const CableBundle& bundle : cable_bundles(topology_)) {
      const Box *a = box(bundle.lower), *b = box(bundle.upper);
      if (!a || !b || a == b) continue;
      const auto [at, is_new] = known.try_emplace(std::minmax(a, b), shown.size());
      if (is_new)
        shown.push_back(bundle);
      else if (CableBundle& other = shown[at->second];
               paint_.share(bundle.lower, bundle.upper) > paint_.share(other.lower, other.upper))
        other = bundle;
    }
    return shown;
  }

  void paint_links() {
    for (const CableBundle& bundle : shown_bundles()) {
      const Box *a = box(bundle.lower), *b = box(bundle.upper);
      const std::string ink = paint_.colour(bundle.lower, bundle.upper, colour(bundle));
      if (a->y < b->y) std::swap(a, b);  // a is below
      if (std::abs(a->y - b->y) < kHeight)
        paint_arc(*a, *b, ink);
      else
        svg_.curve(a->centre(), a->y, b->centre(), b->bottom(), ink, paint_.width(bundle.lower, bundle.upper, 1.6),
                   0.75);
    }
  }

  /// Between neighbours of one row: below it, lower for those further apart.
  void paint_arc(const Box& a, const Box& b, const std::string& colour) {
    const double apart = std::abs(a.centre() - b.centre());
    if (apart <= 1.6 * kWidth * std::max(1.0, (width_ - 2 * kMargin) / (kWidth * 24)))
      return svg_.line(a.centre(), a.middle(), b.centre(), b.middle(), colour, 1.6, 0.75);
    svg_.arc(a.centre(), a.bottom(), b.centre(), b.bottom(), std::min(kRow - kHeight, 14 + apart / 9), colour, 1.4,
             0.6);
  }

  void paint_vertex(std::size_t v) {
    const Vertex& shown = vertex(v);
    const bool is_switch = shown.kind != VertexKind::gpu && shown.kind != VertexKind::nic;
    const Colour fill = is_switch                       ? Colour{kSwitchGrey, "#FFFFFF"}
                        : shown.kind == VertexKind::nic ? kOkabeIto[4]
                                                        : kOkabeIto[1];
    svg_.rect(boxes_[v], fill.fill);
    svg_.label(boxes_[v], short_name(shown.name), {.size = 11, .colour = fill.text});
    if (!nodes_drawn_ && row_of(shown.kind) == 2)
      svg_.text(boxes_[v].centre(), boxes_[v].bottom() + 13, fmt::format("{} nodes", nodes_at(v)),
                {.size = 10, .colour = kInkGrey});
  }

  static std::string short_name(const std::string& name) {
    return name.size() <= 10 ? name : name.substr(name.find(' ') + 1);
  }

  int nodes_at(std::size_t v) const {
    std::vector<int> nodes;
    for (const Link& link : topology_.links())
      if (link.tier == Tier::nic && link.to == static_cast<int>(v))
        nodes.push_back(vertex(static_cast<std::size_t>(link.from)).node);
    std::sort(nodes.begin(), nodes.end());
    return static_cast<int>(std::unique(nodes.begin(), nodes.end()) - nodes.begin());
  }

  const Topology& topology_;
  bool detailed_, nodes_drawn_;
  LinkPaint paint_;
  double width_ = 0, height_ = 0;
  std::vector<Box> boxes_;  ///< [vertices]; no width: not drawn
  std::vector<Box> node_boxes_;
  Svg svg_;
};

}  // namespace

std::string layered_svg(const Topology& topology, const LinkShading* shading) {
  return Layers{topology, shading}.paint();
}

}  // namespace moesim
