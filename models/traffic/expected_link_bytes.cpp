#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include "models/traffic/group_fit.hpp"
#include "models/traffic/subset_sums.hpp"
#include "models/traffic/traffic.hpp"

namespace moesim {
namespace {

/// coefficient[link * columns + column], the uncompressed map.
struct DenseMap {
  std::size_t links, columns;
  std::vector<double> coefficient;

  DenseMap(std::size_t links_, int columns_)
      : links{links_}, columns{static_cast<std::size_t>(columns_)}, coefficient(links * columns, 0.0) {}
  void add(std::span<const LinkId> route, int column, double share) {
    for (LinkId link : route)
      coefficient[static_cast<std::size_t>(link) * columns + static_cast<std::size_t>(column)] += share;
  }
  std::span<const double> row(std::size_t link) const {
    return std::span{coefficient}.subspan(link * columns, columns);
  }
};

/// The map as shared sums and few coefficients per link.
class CompressedMap {
public:
  CompressedMap(const DenseMap& map, int width) : sums_{static_cast<int>(map.columns), width} {
    std::vector<std::vector<SumTerm>> rows(map.links);
    for (std::size_t link = 0; link < map.links; ++link) compress(map.row(link), rows[link]);
    sums_.settle(rows);
    first_.push_back(0);
    for (const auto& row : rows) {
      terms_.insert(terms_.end(), row.begin(), row.end());
      first_.push_back(static_cast<int>(terms_.size()));
    }
  }

  /// out (+)= map * x; `scratch` keeps its memory between calls.
  void apply(std::span<const double> x, std::span<double> out, bool accumulate, std::vector<double>& scratch) const {
    scratch.resize(sums_.size());
    sums_.compute(x, scratch);
    const double* sums = scratch.data();
    const SumTerm* term = terms_.data();
    for (std::size_t link = 0; link < out.size(); ++link) {
      double bytes = 0;
      for (const SumTerm* end = terms_.data() + first_[link + 1]; term != end; ++term)
        bytes += term->coefficient * sums[term->sum];
      out[link] = accumulate ? out[link] + bytes : bytes;
    }
  }

  std::size_t terms() const { return terms_.size(); }

private:
  /// One term for each distinct coefficient of the row: its columns are a subset whose sum is shared.
  void compress(std::span<const double> row, std::vector<SumTerm>& terms) {
    order_.clear();
    for (std::size_t column = 0; column < row.size(); ++column)
      if (row[column] > 0) order_.emplace_back(row[column], column);
    std::sort(order_.begin(), order_.end());
    for (std::size_t i = 0; i < order_.size();) {
      // The same shares added in another order differ in the last bits only.
      constexpr double kSameCoefficient = 1 + 1e-14;
      const double coefficient = order_[i].first;
      Subset subset((row.size() + 63) / 64, 0);
      for (; i < order_.size() && order_[i].first <= coefficient * kSameCoefficient; ++i)
        subset[order_[i].second / 64] |= std::uint64_t{1} << (order_[i].second % 64);
      sums_.add_terms(subset, coefficient, terms);
    }
  }

  SubsetSums sums_;
  std::vector<int> first_;  ///< [links + 1] into terms_
  std::vector<SumTerm> terms_;
  std::vector<std::pair<double, std::size_t>> order_;
};

/// What builds one direction: which route a byte between a source and a rank takes.
class MapBuilder {
public:
  MapBuilder(const Topology& topology, std::span<const double> share, bool to_sources)
      : topology_{topology}, share_{share}, ranks_{static_cast<int>(share.size())}, to_sources_{to_sources} {}

  /// per_expert, per_rank: every rank's bytes come from all sources.
  DenseMap all_pairs() const {
    DenseMap map{topology_.links().size(), ranks_};
    for (int source = 0; source < ranks_; ++source)
      for (int rank = 0; rank < ranks_; ++rank) map.add(route(source, rank), rank, share(source));
    return map;
  }

  /// per_node: from the sources of the same node, and from the relays with what came in over their rail.
  DenseMap inside_nodes() const {
    DenseMap map{topology_.links().size(), ranks_};
    for (int relay = 0; relay < ranks_; ++relay) {
      const double carried = share(relay) + remote_share(relay);
      for (int rank = 0; rank < ranks_; ++rank)
        if (topology_.node_of(rank) == topology_.node_of(relay)) map.add(route(relay, rank), rank, carried);
    }
    return map;
  }

  /// per_node: a node's bytes come from each remote source to its relay on the source's rail.
  DenseMap between_nodes() const {
    const int nodes = topology_.node_of(ranks_ - 1) + 1;
    DenseMap map{topology_.links().size(), nodes};
    for (int source = 0; source < ranks_; ++source)
      for (int node = 0; node < nodes; ++node) {
        if (node == topology_.node_of(source)) continue;
        const int relay = node * topology_.gpus_per_node() + topology_.rail_of(source);
        map.add(route(source, relay), node, share(source));
      }
    return map;
  }

private:
  double share(int rank) const { return share_[static_cast<std::size_t>(rank)]; }

  /// Share of the sources on the relay's rail in other nodes.
  double remote_share(int relay) const {
    double sum = 0;
    for (int source = topology_.rail_of(relay); source < ranks_; source += topology_.gpus_per_node())
      if (source != relay) sum += share(source);
    return sum;
  }

  std::span<const LinkId> route(int source, int rank) const {
    return to_sources_ ? topology_.route(rank, source) : topology_.route(source, rank);
  }

  const Topology& topology_;
  std::span<const double> share_;
  int ranks_;
  bool to_sources_;
};

void check_shares(std::span<const double> share) {
  const double total = std::accumulate(share.begin(), share.end(), 0.0);
  const bool negative = std::any_of(share.begin(), share.end(), [](double s) { return !(s >= 0); });
  if (share.empty() || negative || std::abs(total - 1) > 1e-9)
    throw std::invalid_argument{
        fmt::format("source shares of {} ranks sum to {}, expected 1 and none negative", share.size(), total)};
}

}  // namespace

struct ExpectedLinkBytes::State {
  struct Direction {
    std::vector<CompressedMap> maps;  ///< of the ranks; under per_node also of the nodes
  };

  std::size_t ranks, nodes, links;  ///< nodes: 0 unless per_node
  Direction dispatch, combine;
  // Scratch of the running call: an object is used by one thread (design: processes, not threads).
  mutable std::vector<double> sums;

  void apply(const Direction& direction, std::span<const double> rank_bytes, std::span<const double> node_bytes,
             std::span<double> out) const {
    if (rank_bytes.size() != ranks || node_bytes.size() != nodes || out.size() != links)
      throw std::invalid_argument{fmt::format("bytes of {} ranks and {} nodes on {} links, expected {}, {} and {}",
                                              rank_bytes.size(), node_bytes.size(), out.size(), ranks, nodes, links)};
    direction.maps[0].apply(rank_bytes, out, false, sums);
    if (nodes > 0) direction.maps[1].apply(node_bytes, out, true, sums);
  }
};

ExpectedLinkBytes::ExpectedLinkBytes(const Topology& topology, std::span<const double> source_share, CopyRule rule)
    : state_{std::make_unique<State>()} {
  check_shares(source_share);
  const int ranks = static_cast<int>(source_share.size());
  check_group_fits(topology, ranks, rule);
  const bool per_node = rule == CopyRule::per_node;
  state_->ranks = source_share.size();
  state_->nodes = per_node ? static_cast<std::size_t>(topology.node_of(ranks - 1)) + 1 : 0;
  state_->links = topology.links().size();
  for (const bool to_sources : {false, true}) {
    const MapBuilder builder{topology, source_share, to_sources};
    auto& maps = (to_sources ? state_->combine : state_->dispatch).maps;
    maps.emplace_back(per_node ? builder.inside_nodes() : builder.all_pairs(), topology.gpus_per_node());
    if (per_node) maps.emplace_back(builder.between_nodes(), 1);
  }
}

ExpectedLinkBytes::~ExpectedLinkBytes() = default;
ExpectedLinkBytes::ExpectedLinkBytes(ExpectedLinkBytes&&) noexcept = default;

void ExpectedLinkBytes::dispatch(std::span<const double> into_rank, std::span<const double> into_node,
                                 std::span<double> out) const {
  state_->apply(state_->dispatch, into_rank, into_node, out);
}

void ExpectedLinkBytes::combine(std::span<const double> from_rank, std::span<const double> from_node,
                                std::span<double> out) const {
  state_->apply(state_->combine, from_rank, from_node, out);
}

std::size_t ExpectedLinkBytes::terms() const {
  std::size_t count = 0;
  for (const CompressedMap& map : state_->dispatch.maps) count += map.terms();
  return count;
}

}  // namespace moesim
