#pragma once
// How far the bytes of NICs and of the fabric stray from their expectation, because copies are whole.

#include <span>
#include <vector>

#include "models/hardware/topology.hpp"
#include "models/traffic/link_map.hpp"
#include "models/traffic/traffic.hpp"

namespace moesim {

/// Copies of sources (rows) in ranks or nodes (columns) are a table of counts whose margins are given: what a column
/// receives, and what a row sends as far as CopyLaw::fixed says. The cells of a link then vary by
///   copies on the link * spread * (f - fixed * g) / m,   I_sr = 1 where the link is on the route from s to r
///   m = mean of I over sources (by share) and columns,  f = m - mean over columns of (mean_s I)^2,
///   g = mean over sources of (mean_r I)^2 - m^2
/// with all columns alike, as for any table of exchangeable tokens with given sums.
class LinkScatter {
public:
  LinkScatter(const Topology& topology, const FullLinkMap& map);

  /// bytes [links]: expected, then drawn. A side of the fabric (NICs out, NICs in, ...) keeps its sum.
  void add(const CopyLaw& law, const Random& key, std::span<double> bytes) const;

private:
  struct Strayer {
    LinkId link;
    double seconds_per_byte, free, fixed;  ///< f / m, g / m
  };
  /// Links that lead from one kind of place to another and so carry the same bytes in all.
  struct Side {
    Tier tier;
    VertexKind from, to;
    std::vector<Strayer> links;
  };
  Side& side_of(const Topology& topology, const Link& link);

  std::vector<Side> sides_;
};

}  // namespace moesim
