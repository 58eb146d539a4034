#pragma once
// How far the bytes of NICs and of the fabric stray from their expectation, because copies are whole.

#include <span>
#include <vector>

#include "models/hardware/topology.hpp"
#include "models/traffic/link_map.hpp"
#include "models/traffic/traffic.hpp"

namespace moesim {

class FastStream;

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
  /// Links that lead from one kind of place to another and so carry the same bytes in all.
  struct Side {
    Tier tier;
    VertexKind from, to;
    std::vector<LinkId> links;
    std::vector<std::uint64_t> signature;  ///< FullLinkMap's
    std::vector<LinkId> same_as;  ///< [links] whose bytes these carry on, if there is one each in an earlier side
    std::vector<double> seconds_per_byte;
    std::vector<double> free, fixed;          ///< f / m, g / m
    double slowest = 0;                       ///< the most seconds per byte
    double most_free = 0, most_at_fixed = 0;  ///< of f / m, and of (f - g) / m

    std::size_t chunks() const;
    Seconds busiest(std::size_t chunk, std::span<const double> bytes) const;
  };
  Side& side_of(const Topology& topology, const Link& link);

  void find_same_bytes();
  void draw(const Side& side, const CopyLaw& law, Seconds busiest, std::span<const Seconds> of_chunk,
            FastStream& random, std::span<double> bytes) const;

  std::vector<Side> sides_;
  mutable std::vector<Seconds> busiest_;  ///< of every chunk, in the running call
};

}  // namespace moesim
