#pragma once
// The colours of a topology's links by a number of each.

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "plots/svg.hpp"
#include "plots/topology_drawing.hpp"

namespace moesim {

/// Without a shading, colours and widths are what else they would be.
class LinkPaint {
public:
  LinkPaint(const Topology& topology, const LinkShading* shading);

  bool is_on() const { return shading_ != nullptr; }
  double share(int a, int b) const;  ///< of the busiest link between them, 0 without a shading
  /// Of the busiest link between two vertices, in either direction.
  std::string colour(int a, int b, const std::string& otherwise) const;
  double width(int a, int b, double otherwise) const;  ///< thick where busy
  /// Of the busiest link at a vertex.
  std::string colour_at(int vertex, const std::string& otherwise) const;
  /// The scale, in the corner whose right end is (right, top).
  void paint_legend(Svg& svg, double right, double top) const;

private:
  std::string colour(double share) const;

  const LinkShading* shading_;
  double largest_ = 0;
  std::vector<double> at_vertex_;
  std::map<std::pair<int, int>, double> between_;  // the lower vertex first
};

}  // namespace moesim
