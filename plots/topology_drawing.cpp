#include "plots/topology_drawing.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "models/units/text.hpp"
#include "plots/layered_drawing.hpp"
#include "plots/link_paint.hpp"
#include "plots/palette.hpp"
#include "plots/svg.hpp"
#include "plots/topology_facts.hpp"

namespace moesim {
namespace {

constexpr int kMostDetailedNodes = 4;
constexpr int kMostDetailedGpusPerNode = 8;
constexpr int kMostCablesDrawn = 400;  // leaf-spine pairs; beyond, one trunk per leaf

constexpr double kMargin = 24, kTierColumn = 124, kTop = 92, kGap = 12;
constexpr double kSwitchHeight = 28, kLeafWidth = 58, kSpineWidth = 74;
constexpr double kSlideAspect = 16.0 / 9;

/// Sizes of one node's box and what is in it.
struct NodeShape {
  int columns, rows;
  double cell_width, cell_height, cell_gap;
  double nvswitch_gap;  ///< between GPUs and the NVSwitch bar
  double top;           ///< above the GPUs
  double width, height;
};

NodeShape shape_of_nodes(const Topology& topology, bool detailed) {
  const int gpus = topology.gpus_per_node();
  NodeShape shape{};
  shape.columns = detailed ? gpus : std::min(gpus, std::max(4, static_cast<int>(std::ceil(std::sqrt(2.0 * gpus)))));
  shape.rows = (gpus + shape.columns - 1) / shape.columns;
  shape.cell_width = detailed ? 38 : 24;
  shape.cell_height = detailed ? 28 : 17;
  shape.cell_gap = detailed ? 8 : 3;
  shape.nvswitch_gap = detailed ? 34 : 5;
  shape.top = detailed && gpus > 1 ? kGap : 22;
  const double bar = gpus > 1 ? shape.nvswitch_gap + (detailed ? kSwitchHeight : 14) : 0;
  shape.width = shape.columns * (shape.cell_width + shape.cell_gap) - shape.cell_gap + 2 * kGap;
  shape.height = shape.top + shape.rows * (shape.cell_height + shape.cell_gap) - shape.cell_gap + bar + kGap;
  return shape;
}

/// Where everything stands.
class Layout {
public:
  explicit Layout(const Topology& topology)
      : topology_{topology},
        facts_{facts_of(topology)},
        detailed_{topology.nodes() <= kMostDetailedNodes && topology.gpus_per_node() <= kMostDetailedGpusPerNode},
        node_shape_{shape_of_nodes(topology, detailed_)},
        boxes_(topology.vertices().size()) {
    choose_columns();
    place_switches();
    place_nodes();
  }

  const TopologyFacts& facts() const { return facts_; }
  bool detailed() const { return detailed_; }
  const NodeShape& node_shape() const { return node_shape_; }
  const Box& box(int vertex) const { return boxes_[static_cast<std::size_t>(vertex)]; }
  const std::vector<Box>& blocks() const { return blocks_; }
  const std::vector<Box>& nodes() const { return nodes_; }
  double width() const { return width_; }
  double height() const { return blocks_.front().bottom() + kMargin; }
  bool cables_drawn() const {
    return static_cast<int>(facts_.leaves.size() * facts_.spines.size()) <= kMostCablesDrawn;
  }

private:
  int nodes_per_block() const { return (topology_.nodes() + facts_.leaf_blocks - 1) / facts_.leaf_blocks; }
  double block_width(int columns) const {
    const double nodes = columns * (node_shape_.width + kGap) - kGap + 2 * kGap;
    const double leaves = facts_.leaves.empty() ? 0 : topology_.gpus_per_node() * (kLeafWidth + 8) - 8;
    return std::max(nodes, leaves);
  }
  double block_height(int columns) const {
    const int rows = (nodes_per_block() + columns - 1) / columns;
    return rows * (node_shape_.height + kGap) + kGap;
  }
  double content_width(int columns) const { return facts_.leaf_blocks * (block_width(columns) + 2 * kGap) - 2 * kGap; }
  double switch_area() const {
    return (facts_.spines.empty() ? 0 : kSwitchHeight + spine_drop()) +
           (facts_.leaves.empty() ? 0 : kSwitchHeight + leaf_drop());
  }
  double leaf_drop() const { return detailed_ ? 130 : 58; }
  double spine_drop() const { return cables_drawn() ? 110 : 58; }
  /// From one leaf of a block to the next; wide where single cables are drawn, so that they cross less.
  double leaf_step() const {
    const double spread = 0.7 * block_width(columns_) / std::max(1, topology_.gpus_per_node());
    return detailed_ ? std::max(kLeafWidth + 8, spread) : kLeafWidth + 8;
  }

  /// As near to a slide's shape as the number of node columns allows.
  void choose_columns() {
    double best = 1e300;
    const int most = detailed_ ? topology_.nodes() : nodes_per_block();
    for (int columns = detailed_ ? most : 1; columns <= most; ++columns) {
      const double height = kTop + switch_area() + block_height(columns);
      const double off = std::abs(std::log(content_width(columns) / height / kSlideAspect));
      if (off < best) {
        best = off;
        columns_ = columns;
      }
    }
    width_ = std::max(
        {kMargin * 2 + kTierColumn + content_width(columns_), spine_row_width() + kTierColumn + 2 * kMargin, 640.0});
  }

  double spine_row_width() const { return static_cast<double>(facts_.spines.size()) * (kSpineWidth + 8) - 8; }
  double content_left() const {
    return kMargin + kTierColumn + (width_ - 2 * kMargin - kTierColumn - content_width(columns_)) / 2;
  }

  void place_switches() {
    const double left = kMargin + kTierColumn, across = width_ - left - kMargin;
    double x = left + (across - spine_row_width()) / 2, y = kTop;
    for (int spine : facts_.spines) {
      boxes_[static_cast<std::size_t>(spine)] = {x, y, kSpineWidth, kSwitchHeight};
      x += kSpineWidth + 8;
    }
    if (!facts_.spines.empty()) y += kSwitchHeight + spine_drop();
    const double step = block_width(columns_) + 2 * kGap;
    for (int leaf : facts_.leaves) {
      const int nth = leaf - facts_.leaves.front();  // rail-major
      const int rail = nth / facts_.leaf_blocks, block = nth % facts_.leaf_blocks;
      const double row = (topology_.gpus_per_node() - 1) * leaf_step() + kLeafWidth;
      const double start = content_left() + block * step + (block_width(columns_) - row) / 2;
      boxes_[static_cast<std::size_t>(leaf)] = {start + rail * leaf_step(), y, kLeafWidth, kSwitchHeight};
    }
  }

  void place_nodes() {
    const double y = kTop + switch_area(), step = block_width(columns_) + 2 * kGap;
    for (int block = 0; block < facts_.leaf_blocks; ++block)
      blocks_.push_back({content_left() + block * step, y, block_width(columns_), block_height(columns_)});
    std::vector<int> placed(static_cast<std::size_t>(facts_.leaf_blocks), 0);
    for (int node = 0; node < topology_.nodes(); ++node) {
      const auto block = static_cast<std::size_t>(facts_.leaf_block_of_node[static_cast<std::size_t>(node)]);
      const int nth = placed[block]++;
      const double used = columns_ * (node_shape_.width + kGap) - kGap;
      const Box box{blocks_[block].centre() - used / 2 + nth % columns_ * (node_shape_.width + kGap),
                    y + kGap + static_cast<double>(nth / columns_) * (node_shape_.height + kGap), node_shape_.width,
                    node_shape_.height};
      nodes_.push_back(box);
    }
    for (std::size_t v = 0; v < boxes_.size(); ++v) place_in_node(v);
  }

  void place_in_node(std::size_t v) {
    const Vertex& vertex = topology_.vertices()[v];
    if (vertex.node < 0) return;
    const Box& node = nodes_[static_cast<std::size_t>(vertex.node)];
    const NodeShape& s = node_shape_;
    if (const double bar = detailed_ ? kSwitchHeight : 14; vertex.kind == VertexKind::nvswitch)
      boxes_[v] = {node.x + kGap, node.bottom() - kGap - bar, node.width - 2 * kGap, bar};
    else
      boxes_[v] = {node.x + kGap + vertex.rail % s.columns * (s.cell_width + s.cell_gap),
                   node.y + s.top + static_cast<double>(vertex.rail / s.columns) * (s.cell_height + s.cell_gap),
                   s.cell_width, s.cell_height};
  }

  const Topology& topology_;
  TopologyFacts facts_;
  bool detailed_;
  NodeShape node_shape_;
  int columns_ = 1;
  double width_ = 0;
  std::vector<Box> boxes_, blocks_, nodes_;
};

/// Paints cables first, boxes over them.
class Painter {
public:
  Painter(const Topology& topology, const LinkShading* shading)
      : topology_{topology}, layout_{topology}, paint_{topology, shading} {}

  std::string paint() {
    const TopologyFacts& facts = layout_.facts();
    svg_.text(kMargin, 40, facts.title, {.size = 24, .colour = kInkGrey, .anchor = "start", .bold = true});
    svg_.text(kMargin, 66, facts.subtitle, {.size = 15, .colour = kInkGrey, .anchor = "start"});
    for (const Box& block : layout_.blocks())
      if (layout_.blocks().size() > 1) svg_.rect(block, "none", kInkGrey, 8);
    for (const Box& node : layout_.nodes()) svg_.rect(node, "none", kInkGrey, 6);
    paint_cables();
    paint_boxes();
    paint_tiers();
    paint_.paint_legend(svg_, layout_.width() - kMargin, 40);
    return svg_.document(layout_.width(), layout_.height(), facts.title, facts.subtitle);
  }

private:
  const Vertex& vertex(int v) const { return topology_.vertices()[static_cast<std::size_t>(v)]; }

  void paint_cables() {
    for (const CableBundle& bundle : cable_bundles(topology_)) {
      const Box &low = layout_.box(bundle.lower), &high = layout_.box(bundle.upper);
      const std::string rail = rail_colour(vertex(bundle.lower).rail).fill;
      const auto colour = [&](const std::string& plain) { return paint_.colour(bundle.lower, bundle.upper, plain); };
      const auto width = [&](double plain) { return paint_.width(bundle.lower, bundle.upper, plain); };
      if (bundle.tier == Tier::nvlink && layout_.detailed())
        svg_.line(low.centre(), low.bottom(), low.centre(), high.y, colour(kInkGrey), width(2));
      if (bundle.tier == Tier::nic && layout_.detailed())
        svg_.curve(low.centre(), low.y, high.centre(), high.bottom(), colour(rail), width(2));
      if (bundle.tier == Tier::spine && layout_.cables_drawn())
        svg_.curve(low.centre(), low.y, high.centre(), high.bottom(), colour(rail),
                   width(layout_.facts().bundled ? 3 : 0.8 + 0.5 * std::min(bundle.cables, 4)),
                   paint_.is_on() ? 1 : 0.6);
    }
    paint_trunks();
  }

  /// What stands for cables that are too many to draw.
  void paint_trunks() {
    const TopologyFacts& facts = layout_.facts();
    for (int leaf : facts.leaves) {
      const Box& box = layout_.box(leaf);
      const std::string rail = paint_.colour_at(leaf, rail_colour(vertex(leaf).rail).fill);
      const double floor = layout_.blocks().front().y;
      if (!layout_.detailed()) svg_.line(box.centre(), box.bottom(), box.centre(), floor, rail, 5);
      if (!facts.spines.empty() && !layout_.cables_drawn())
        svg_.line(box.centre(), box.y, box.centre(), layout_.box(facts.spines.front()).bottom() + 4, rail, 3);
    }
    if (!facts.spines.empty() && !layout_.cables_drawn()) {
      const double y = layout_.box(facts.spines.front()).bottom() + 4;
      svg_.line(layout_.box(facts.leaves.front()).x, y, layout_.box(facts.leaves.back()).right(), y, kInkGrey, 2);
    }
    if (layout_.detailed() || facts.leaves.empty()) return;
    for (const Box& block : layout_.blocks()) svg_.line(block.x, block.y, block.right(), block.y, kInkGrey, 2);
  }

  void paint_boxes() {
    for (std::size_t v = 0; v < topology_.vertices().size(); ++v) {
      const Vertex& shown = topology_.vertices()[v];
      const Box& box = layout_.box(static_cast<int>(v));
      const Colour colour = colour_of(shown);
      const bool is_gpu = shown.kind == VertexKind::gpu;  // its busiest link colours it
      svg_.rect(box, is_gpu ? paint_.colour_at(static_cast<int>(v), colour.fill) : colour.fill);
      const bool small = !layout_.detailed() && shown.node >= 0;
      svg_.label(box, text_in(shown), {.size = small ? 10.0 : 13.0, .colour = colour.text});
    }
    const bool named_in_bar = layout_.detailed() && topology_.gpus_per_node() > 1;  // cables enter from above
    for (std::size_t node = 0; node < layout_.nodes().size() && !named_in_bar; ++node) {
      const Box& box = layout_.nodes()[node];
      svg_.text(box.x + kGap, box.y + 16, fmt::format("node {}", node),
                {.size = 12, .colour = kInkGrey, .anchor = "start", .bold = true});
    }
  }

  Colour colour_of(const Vertex& shown) const {
    if (!paint_.is_on() && shown.rail >= 0) return rail_colour(shown.rail);
    return {kSwitchGrey, paint_.is_on() && shown.kind == VertexKind::gpu ? "#111111" : "#FFFFFF"};
  }

  std::string text_in(const Vertex& shown) const {
    if (shown.kind == VertexKind::gpu) return fmt::format("{}{}", layout_.detailed() ? "g" : "", shown.rail);
    if (shown.kind == VertexKind::nvswitch)
      return layout_.detailed() ? fmt::format("node {} · NVSwitch", shown.node) : "NVSwitch";
    return shown.name;
  }

  void tier(double y, const std::string& name, const std::string& first, const std::string& second) {
    svg_.text(kMargin, y, name, {.size = 15, .colour = kInkGrey, .anchor = "start", .bold = true});
    svg_.text(kMargin, y + 17, first, {.size = 12, .colour = kInkGrey, .anchor = "start"});
    svg_.text(kMargin, y + 33, second, {.size = 12, .colour = kInkGrey, .anchor = "start"});
  }

  void paint_tiers() {
    const TopologyFacts& facts = layout_.facts();
    if (!facts.spines.empty()) {
      const std::string cables = facts.bundled ? "sprayed evenly" : fmt::format("{} cables a leaf", facts.uplinks);
      tier(layout_.box(facts.spines.front()).y + 14, "spine", cables, human(facts.leaf_up) + " a leaf");
    }
    if (!facts.leaves.empty())
      tier(layout_.box(facts.leaves.front()).y + 14, "leaf", fmt::format("{} per rail", facts.leaf_blocks),
           human(facts.nic) + " a NIC");
    tier(layout_.nodes().front().y + 26, "node", facts.nvlink.value() > 0 ? "NVSwitch" : "",
         facts.nvlink.value() > 0 ? human(facts.nvlink) + " a GPU" : "");
  }

  const Topology& topology_;
  Layout layout_;
  LinkPaint paint_;
  Svg svg_;
};

}  // namespace

std::string topology_svg(const Topology& topology, const LinkShading* shading) {
  return stands_on_rails(topology) ? Painter{topology, shading}.paint() : layered_svg(topology, shading);
}

}  // namespace moesim
